Feature: A block of the log is damaged
  Damage is found, named and fenced off. It stops the machines whose reports it hit, and nobody else.

  @inline @processes
  Scenario: Only the machine whose report was hit stands still
    Given a log of two reports of each of the machines a and b, of which the second one of a is damaged
    When the plant starts on it
    Then a report of machine a is refused, and the way to repair the log is told
    But a report of machine b is taken
    And the plant lists machine a, and nobody else, as fenced up to its report 2
    And the plant has warned of machine a by itself
    And none of its processes has failed
