Feature: What was captured is replayed
  Whatever goes to the workers of a plant can be captured meanwhile. Replayed into a new plant, it leads to the same state.

  @processes
  Scenario: A capture of all commands leads to the state of the plant, although processes died meanwhile
    Given a plant that is captured from its first command on, and 12 machines that report to it
    When 200 reports are acknowledged
    And the worker dies
    And 200 more reports are acknowledged
    And the gateway dies
    And 200 more reports are acknowledged
    And the machines fall silent, and the captures end
    Then the captures together lead to the state of the plant
    But the first of them alone leads to another state
