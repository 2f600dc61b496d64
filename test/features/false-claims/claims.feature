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
  Scenario: Nothing is stored twice where a report was
    Given a network that delivers a report twice
    And a plant that 12 machines report to
    When 600 reports are acknowledged
    Then no report is stored twice

  @inline
  Scenario: Nothing is out of order where two reports were swapped
    Given a network that swaps two reports
    And a plant that 12 machines report to
    When 600 reports are acknowledged
    Then no report is out of order

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
    Then its report says that the health is worse than the last time

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
    Then the plant lists machine b, and nobody else, as fenced

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

  @processes
  Scenario: A harmless report is refused
    Given a plant of presses whose worker ends at a report of 666 degrees, and is busy for long with one of 777
    When press a reports 21 degrees
    Then the report is refused, since it ended 3 workers and is parked

  @processes
  Scenario: A report is taken that nobody sent
    Given a plant of presses whose worker ends at a report of 666 degrees, and is busy for long with one of 777
    When the operator tries the oldest parked command again
    Then the report is taken

  @processes
  Scenario: Something is done that was never parked
    Given a plant of presses whose worker ends at a report of 666 degrees, and is busy for long with one of 777
    When the operator tries the oldest parked command again
    Then the operator is told that it is done

  @processes
  Scenario: A harmless report is parked when it is tried again
    Given a plant of presses whose worker ends at a report of 666 degrees, and is busy for long with one of 777
    When press a reports 21 degrees
    Then the operator is told that it is parked

  @processes
  Scenario: Something is parked where nothing is
    Given a plant of presses whose worker ends at a report of 666 degrees, and is busy for long with one of 777
    Then 1 command is parked

  @processes
  Scenario: What is parked is known where nothing is
    Given a plant of presses whose worker ends at a report of 666 degrees, and is busy for long with one of 777
    Then the newest of them is the 666 degrees of press a, and names how 3 workers ended

  @processes
  Scenario: A worker is busy with a report that takes no time
    Given a plant of presses whose worker ends at a report of 666 degrees, and is busy for long with one of 777
    When press c reports 21 degrees
    Then the operator sees that the worker is busy with the report of press c

  @processes
  Scenario: A log is whole of which a block is damaged
    Given a log of two reports of each of the machines a and b, of which the second one of a is damaged
    When the plant starts on it
    Then the log is whole
