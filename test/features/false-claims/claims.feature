Feature: Claims that are not true
  Each of these scenarios fails at its last step, whose sentence holds in the scenarios beside this folder.

  @inline
  Scenario: Nothing is missing where a report was lost
    Given a network that loses a report and acknowledges it
    And a plant that 12 machines report to
    When 600 reports are acknowledged
    Then no acknowledged report is missing

  @inline
  Scenario: Something is missing where nothing was lost
    Given a plant that 12 machines report to
    When 20 reports are acknowledged
    Then 3 acknowledged reports are missing

  @inline
  Scenario: Every report is stored once where one was stored twice
    Given a network that delivers a report twice
    And a plant that 12 machines report to
    When 600 reports are acknowledged
    Then every report is stored once, in order and as it was sent

  @inline
  Scenario: Every report is in order where two were swapped
    Given a network that swaps two reports
    And a plant that 12 machines report to
    When 600 reports are acknowledged
    Then every report is stored once, in order and as it was sent

  @inline
  Scenario: Every report is stored as it was sent where one was altered
    Given a network that alters a value of a report
    And a plant that 12 machines report to
    When 600 reports are acknowledged
    Then every report is stored once, in order and as it was sent

  @inline
  Scenario: The state is that of a log from which a row was torn
    Given a plant that 12 machines report to
    When 20 reports are acknowledged
    And a row is torn out of the log
    Then the state of the plant is what its log says

  @inline
  Scenario: Somebody is replaced who did not die
    Given a plant that 12 machines report to
    When the worker dies
    Then the journal is replaced

  @inline
  Scenario: A plant works again that was never started again
    Given a plant that 12 machines report to
    Then the plant works again

  @inline
  Scenario: A worker cannot write that was frozen, but not replaced
    Given a plant that 12 machines report to
    When a worker is frozen for a moment
    Then it cannot write any more

  @inline
  Scenario: The machines go on while the disk is full
    Given a plant on a small disk that 12 machines report to
    When the disk fills up
    Then the machines go on reporting

  @inline
  Scenario: The plant complains of a disk that has room
    Given a plant on a small disk that 12 machines report to
    Then the plant says that its disk is full

  @inline
  Scenario: The plant does not complain of a full disk
    Given a plant on a small disk that 12 machines report to
    When the disk fills up
    And the plant says that its disk is full
    Then the plant says nothing of its disk any more

  @inline
  Scenario: Nothing is acknowledged where there is room
    Given a plant on a small disk that 12 machines report to
    Then nothing more is acknowledged, while the machines wait

  @inline
  Scenario: A machine is read that has reported nothing
    Given a plant on a small disk that 12 machines report to
    Then what a machine reported before can be read

  @inline
  Scenario: A drill succeeds that lost a report
    When a drill kills the worker
    And the next drill has a network that loses a report and acknowledges it
    Then the drill succeeds

  @inline
  Scenario: A drill fails that lost nothing
    When a drill kills the worker
    Then the drill fails

  @inline
  Scenario: A report is clean that is not
    When a drill kills the worker
    And the next drill has a network that delivers a report twice
    Then its report says that nothing acknowledged is missing

  @inline
  Scenario: A report names another fault than there was
    When a drill kills the worker
    And the next drill has a network that delivers a report twice
    Then its report says that "1 acknowledged command missing from the log"

  @inline
  Scenario: A report finds all timers as they were set, of which one went off twice
    When a drill tries out timers, and children that err
    And the next drill has a plant in which a timer goes off twice
    Then its report says that each timer went off as it was set, and how late at worst

  @inline
  Scenario: A report finds all children as their supervisors say, of which one began anew that is to go on
    When a drill tries out timers, and children that err
    And the next drill has a plant in which a child begins anew that is to go on
    Then its report says that children began anew as their supervisors say

  @inline
  Scenario: A report names a machine although nothing was lost
    When a drill kills the worker
    Then its report names the machine whose report is lost, and its time

  @inline
  Scenario: A report tells of more recoveries than there were
    When a drill kills the worker
    Then its report has a line for each of the 2 recoveries

  @inline
  Scenario: A report calls a plant healthy that lost a report
    When a drill kills the worker
    And the next drill has a network that loses a report and acknowledges it
    Then its report calls the health of the plant as good as the recovery times are

  @inline
  Scenario: A report calls a plant ill that is well
    When a drill kills the worker
    Then its report calls the health of the plant POOR

  @inline
  Scenario: A report compares with a drill that there was not
    When a drill kills the worker
    Then its report says that more is missing than the last time

  @inline
  Scenario: A report for programs hides what was lost
    When a drill kills the worker
    And the next drill has a network that loses a report and acknowledges it
    Then its report for programs tells of no missing command and of 1 recovery

  @inline
  Scenario: A report calls a drill the first that is the second
    When a drill kills the worker
    And the next drill has a network that swaps two reports
    Then its report says that the next one is compared with it

  @inline
  Scenario: A page finds nothing wrong that the drill found
    When a drill kills the worker
    And the next drill has a network that swaps two reports
    Then its page for the browser says that nothing is wrong

  @inline
  Scenario: A page finds something wrong that the drill did not
    When a drill kills the worker
    Then its page for the browser says that "1 command stored twice"

  @inline
  Scenario: A machine is refused that the damage did not hit
    Given a log of two reports of each of the machines a and b, of which the second one of a is damaged
    When the plant starts on it
    Then a report of machine b is refused, and the way to repair the log is told

  @inline
  Scenario: A machine is taken that the damage hit
    Given a log of two reports of each of the machines a and b, of which the second one of a is damaged
    When the plant starts on it
    Then a report of machine a is taken

  @inline
  Scenario: The wrong machine is fenced
    Given a log of two reports of each of the machines a and b, of which the second one of a is damaged
    When the plant starts on it
    Then the plant lists machine b, and nobody else, as fenced up to its report 2

  @inline
  Scenario: The plant warns of a machine that the damage did not hit
    Given a log of two reports of each of the machines a and b, of which the second one of a is damaged
    When the plant starts on it
    Then the plant has warned of machine b by itself

  @inline
  Scenario: Processes fail over damage
    Given a log of two reports of each of the machines a and b, of which the second one of a is damaged
    When the plant starts on it
    Then 1 of its processes has failed

  @inline
  Scenario: A report was refused that is done
    Given an operator who was told that a report is done
    Then the report is refused, since it ended 3 workers and is parked

  @inline
  Scenario: A report ended more workers than it did
    Given an operator who was told "executing it ended 2 workers (SIGKILL, SIGKILL); it is parked as 01234567"
    Then the report is refused, since it ended 3 workers and is parked

  @inline
  Scenario: A report is taken that was refused
    Given an operator who was told "executing it ended 3 workers (SIGKILL, SIGKILL, SIGKILL); it is parked as 01234567"
    Then the report is taken

  @inline
  Scenario: A report is done that was parked
    Given an operator who was told "executing it ended 3 workers (SIGKILL, SIGKILL, SIGKILL); it is parked as 01234567"
    Then the operator is told that it is done

  @inline
  Scenario: A report is parked that is done
    Given an operator who was told that a report is done
    Then the operator is told that it is parked

  @inline
  Scenario: A report is not there that is done
    Given an operator who was told that a report is done
    Then the operator is told that it is not there

  @inline
  Scenario: A worker is busy that nobody has seen to be
    Given an operator who was told that a report is done
    Then the operator sees that the worker is busy with the report of press c

  @processes
  Scenario: Something is parked where nothing is
    Given a plant of presses whose worker ends at a report of 666 degrees, and is busy for long with one of 777
    Then 1 command is parked

  @processes
  Scenario: Another report is parked than that of which it is said
    Given a plant of presses whose worker ends at a report of 666 degrees, and is busy for long with one of 777
    And a report of press d that was parked yesterday
    Then the oldest of them is the 666 degrees of press a, and names how 3 workers ended

  @processes
  Scenario: A log is whole of which a block is damaged
    Given a log of two reports of each of the machines a and b, of which the second one of a is damaged
    When the plant starts on it
    Then the log is whole

  @inline
  Scenario: A press has kept its strokes that was restarted
    Given a cell that has spawned the presses left and right, and restarts one that errs, twice an hour at most
    And press left has done 5 strokes, and press right has done 7
    When press left errs
    Then press left has done 5 strokes

  @inline
  Scenario: A press takes no commands that is well
    Given a cell that has spawned the presses left and right, and restarts one that errs, twice an hour at most
    When press left errs
    Then press left takes no commands, since it is stopped

  @inline
  Scenario: A press was restarted that did not err
    Given a cell that has spawned the presses left and right, and restarts one that errs, twice an hour at most
    When press left errs
    Then the operator sees that press right runs, was restarted once, and why

  @inline
  Scenario: A press is stopped whose cell goes on
    Given a cell that has spawned the presses left and right, and restarts one that errs, twice an hour at most
    When press left errs
    Then the operator sees that press left is stopped with its cell

  @inline
  Scenario: A cell has heard of an error that there was not
    Given a cell that has spawned the presses left and right, and restarts one that errs, twice an hour at most
    When press left errs
    Then the cell has heard of press right that it started, errored and started

  @inline
  Scenario: A board has heard of a death that there was not
    Given a cell that has spawned the presses left and right, and restarts one that errs, twice an hour at most
    And a board in another process that watches press left
    When press left errs
    Then the board has heard that press left was lost

  @inline
  Scenario: A command is parked that only fails
    Given a cell that has spawned the presses left and right, and restarts one that errs, twice an hour at most
    When press left is told to do 13 strokes
    Then the command fails, since it is parked

  @inline
  Scenario: A plant has returned from an upgrade that there was not
    Given a plant that 12 machines report to
    Then the operator is told that the plant has returned from it, and why

  @processes
  Scenario: A plant runs a version that it was not upgraded to
    Given a plant of version 1.0.0 that 12 machines report to
    Then all of its processes run version 1.1.0

  @processes
  Scenario: A plant has a worker that it was not given
    Given a plant of one worker, with room for another, that 12 machines report to
    Then it has 2 workers, which share the shards

  @processes
  Scenario: A plant has no room for a worker that it has room for
    Given a plant of one worker, with room for another, that 12 machines report to
    Then the operator is told that it has no room for 2
