Feature: The disk of the plant is full
  A plant without room takes nothing and says why. It loses nothing by that, can still be read, and goes on by itself once there is room.

  @inline @processes
  Scenario: The disk fills, and room is made
    Given a plant on a small disk that 12 machines report to
    And 200 reports are acknowledged
    When the disk fills up
    Then the plant says that its disk is full
    And nothing more is acknowledged, while the machines wait
    And what a machine reported before can be read
    When room is made on the disk
    Then the plant says nothing of its disk any more
    And the machines go on reporting
    And no acknowledged report is missing
    And every report is stored once, in order and as it was sent
    And the state of the plant is what its log says
