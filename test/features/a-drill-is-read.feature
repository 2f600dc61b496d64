Feature: An operator reads the report of a drill
  A drill breaks a plant on purpose while machines report to it, and says afterwards what that came to.

  @inline @processes
  Scenario: A drill that finds nothing wrong, and one in which a report is lost on purpose
    When a drill kills the worker and the journal
    Then the drill succeeds
    And its report says that nothing acknowledged is missing
    And its report has a line for each of the 2 recoveries
    And its report calls the health of the plant as good as the recovery times are
    And its report for programs tells of no missing command and of 2 recoveries
    And its page for the browser says that nothing is wrong
    And its report says that the next one is compared with it
    When the next drill has a network that loses a report and acknowledges it
    Then the drill fails
    And its report says that "1 acknowledged command missing from the log"
    And its report names the machine whose report is lost, and its time
    And its report calls the health of the plant POOR
    And its report says that more is missing than the last time
    And its report for programs tells of 1 missing command and of 2 recoveries
    And its page for the browser says that "1 acknowledged command missing from the log"

  @inline
  Scenario: A drill that tries out what entities are promised, and plants that do not keep it
    When a drill tries out timers, and children that err
    Then the drill succeeds
    And its report says that each timer went off as it was set, and how late at worst
    And its report says that children began anew as their supervisors say
    And its report has a line for each of the 2 recoveries
    When the next drill has a plant in which a timer goes off twice
    Then the drill fails
    And its report says that "1 timer that went off twice"
    When the next drill has a plant in which a child begins anew that is to go on
    Then the drill fails
    And its report says that "1 tree of supervision not as the strategy says"
