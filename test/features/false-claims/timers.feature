Feature: Claims about timers that are not true

  Background:
    Given a plant of kettles that whistle a second after they are put on

  @processes
  Scenario: A kettle whistles once that is put on a second time
    When kettle a is put on
    And kettle a whistles once, a second after it was put on
    And kettle a is put on
    Then kettle a whistles once, a second after it was put on

  @processes
  Scenario: A kettle has not whistled that has
    When kettle b is put on
    And kettle b whistles once, a second after it was put on
    Then kettle b has not whistled
