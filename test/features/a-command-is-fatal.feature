Feature: A command is fatal to the worker that executes it
  A report that ends its worker each time is parked, so that it ends no more of them. An operator looks at it and decides.

  Background:
    Given a plant of presses whose worker ends at a report of 666 degrees, and is busy for long with one of 777

  @processes
  Scenario: It is parked, its press and all others go on, and it is done once its cause is mended
    When press a reports 666 degrees
    Then the report is refused, since it ended 3 workers and is parked
    When press a reports 21 degrees
    Then the report is taken
    When press b reports 22 degrees
    Then the report is taken
    And 1 command is parked
    And the oldest of them is the 666 degrees of press a, and names how 3 workers ended
    When the operator tries the oldest parked command again
    Then the operator is told that it is parked
    And 1 command is parked
    And the oldest of them is the 666 degrees of press a, and names how 6 workers ended
    When the cause is mended
    And the operator tries the oldest parked command again
    Then the operator is told that it is done
    And no command is parked

  @processes
  Scenario: One that nobody wants any more is discarded
    Given a report of press d that was parked yesterday
    When the operator discards the oldest parked command
    Then no command is parked
    When the operator tries it again all the same
    Then the operator is told that it is not there

  @processes
  Scenario: A report that only takes long is named while it is executed, and is done
    When press c reports 777 degrees, and the operator looks at the plant meanwhile
    Then the operator sees that the worker is busy with the report of press c
    And the report is taken
    And no command is parked
