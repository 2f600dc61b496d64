Feature: An entity has set a timer
  A timer goes off once, at its time or as soon as there is somebody for it to go off in, whatever dies in between.

  Background:
    Given a plant of kettles that whistle a second after they are put on

  @processes
  Scenario: Its worker dies before the timer goes off
    When kettle a is put on
    And the worker of the kettles is killed
    Then kettle a whistles once, a second after it was put on

  @processes
  Scenario: It is cancelled in time
    When kettle b is put on, and off again
    And kettle c is put on
    Then kettle c whistles once, a second after it was put on
    And kettle b has not whistled
