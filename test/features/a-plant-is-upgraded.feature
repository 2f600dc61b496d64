Feature: The code of a plant is upgraded while it runs
  The workers get the new code, then the doors. Machines go on reporting. Code that is no good is given up by itself.

  @processes
  Scenario: Five upgrades in a row, of which the fourth is to code that is broken, and a sixth in which the supervisor dies
    Given a plant of version 1.0.0 that 12 machines report to
    And 200 reports are acknowledged
    When the plant is upgraded to version 1.1.0
    And the plant is upgraded to version 1.2.0
    And the plant is upgraded to version 1.3.0
    Then all of its processes run version 1.3.0
    When the operator upgrades it to version 1.4.0, which fails over every report
    Then the operator is told that the plant has returned from it, and why
    And all of its processes run version 1.3.0
    When the plant is upgraded to version 1.5.0
    Then all of its processes run version 1.5.0
    And the machines go on reporting
    When the supervisor dies while the plant is upgraded to version 1.6.0
    Then the plant works again
    And all of its processes run version 1.5.0
    And the machines go on reporting
    And no acknowledged report is missing
    And every report is stored once, in order and as it was sent
    And the state of the plant is what its log says
