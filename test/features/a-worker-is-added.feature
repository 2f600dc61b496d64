Feature: A worker is added to a plant while it runs, and removed again
  Shards move to the new worker one by one, and back before it ends. Machines go on reporting, whoever dies meanwhile.

  @processes
  Scenario: One worker becomes two and one again, while processes die
    Given a plant of one worker, with room for another, that 12 machines report to
    And 100 reports are acknowledged
    When the operator changes it to 2 workers, and the gateway and a worker die meanwhile
    Then it has 2 workers, which share the shards
    And the operator is told that it has no room for 3
    And the machines go on reporting
    When the supervisor dies
    Then the plant works again
    And it has 2 workers, which share the shards
    When the operator changes it to 1 worker, and the journal and a worker die meanwhile
    Then it has 1 worker, which has all shards
    And the machines go on reporting
    And no acknowledged report is missing
    And every report is stored once, in order and as it was sent
    And the state of the plant is what its log says
