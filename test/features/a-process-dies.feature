Feature: A process of the plant dies
  Machines report all day. Whatever dies is replaced, the machines go on where they were, and what was acknowledged to them is there.

  Background:
    Given a plant that 12 machines report to
    And 200 reports are acknowledged

  @inline @processes
  Scenario Outline: The <process> dies while machines report
    When the <process> dies
    Then the <process> is replaced
    And the machines go on reporting
    And no acknowledged report is missing
    And every report is stored once, in order and as it was sent
    And the state of the plant is what its log says

    Examples:
      | process |
      | worker  |
      | journal |

  @inline @processes
  Scenario: The worker and the journal die at the same time
    When the worker and the journal die
    Then the worker and the journal are replaced
    And the machines go on reporting
    And no acknowledged report is missing
    And every report is stored once, in order and as it was sent
    And the state of the plant is what its log says

  @inline @processes
  Scenario: A worker that was taken for dead wakes up
    When a worker is frozen until another has taken its place
    And the frozen worker wakes up
    Then it cannot write any more
    And the machines go on reporting
    And no acknowledged report is missing
    And every report is stored once, in order and as it was sent

  @processes
  Scenario: The gateway dies while machines report
    When the gateway dies
    Then the gateway is replaced
    And the machines go on reporting
    And no acknowledged report is missing
    And every report is stored once, in order and as it was sent

  @processes
  Scenario: The supervisor dies, and the plant is started again
    When the supervisor dies
    Then the plant works again
    And the machines go on reporting
    And no acknowledged report is missing
    And every report is stored once, in order and as it was sent
    And the state of the plant is what its log says

  @processes
  Scenario: Everything dies at once, and the plant is started again
    When the whole plant dies
    Then the plant works again
    And the machines go on reporting
    And no acknowledged report is missing
    And every report is stored once, in order and as it was sent
    And the state of the plant is what its log says
    And the log is whole
