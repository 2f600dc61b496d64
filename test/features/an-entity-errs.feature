Feature: An entity errs
  A cell supervises its presses: one that errs begins anew, and one that errs again and again is stopped with the others. An operator sees who supervises whom, and what was wrong.

  Background:
    Given a cell that has spawned the presses left and right, and restarts one that errs, twice an hour at most

  @inline @processes
  Scenario: A press that errs is restarted, and the other one goes on
    Given press left has done 5 strokes, and press right has done 7
    When press left errs
    Then press left has done 0 strokes
    And press right has done 7 strokes
    And the operator sees that press left runs, was restarted once, and why
    And the cell has heard of press left that it started, errored and started

  @inline @processes
  Scenario: A press that errs too often is stopped, and so are all others of its cell
    When press left errs
    And press left errs
    And press left errs
    Then press left takes no commands, since it is stopped
    And press right takes no commands, since it is stopped

  @inline @processes
  Scenario: A cell that stops takes its presses along
    When the cell stops
    Then press right takes no commands, since it is stopped
    And the operator sees that press right is stopped with its cell

  @inline @processes
  Scenario: Whoever watches a press hears of the death of the process that it lives in
    Given a board in another process that watches press left
    And press left has done 5 strokes, and press right has done 7
    When the process of press left dies
    Then the board has heard that press left was lost
    And press left has done 5 strokes

  @processes
  Scenario: A press whose command ends its worker each time is restarted once that is parked
    Given press left has done 5 strokes, and press right has done 7
    When press left is told to do what ends its worker
    Then the command fails, since it is parked
    And press left has done 0 strokes
    And press right has done 7 strokes
