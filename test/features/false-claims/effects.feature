Feature: Claims about effects that are not true

  Background:
    Given a plant of lamps that page somebody when they are lit

  @processes
  Scenario: A page failed that was done
    When lamp a is lit
    Then lamp a hears that its page failed

  @processes
  Scenario: Nobody was paged who was
    When lamp b is lit
    And lamp b hears that its page was done
    Then the pager has got it 0 times under one key

  @processes
  Scenario: An effect is parked that was done
    When lamp c is lit
    And lamp c hears that its page was done
    Then 1 effect is parked

  @processes
  Scenario: A page was done that failed
    Given a pager that knows nobody
    When lamp d is lit
    Then lamp d hears that its page was done

  @processes
  Scenario: An effect is parked for another answer than the pager gave
    Then 1 effect is parked, since the pager answered 500

  @processes
  Scenario: Something was done behind the plant's back that was not
    Then the operator sees that 4 effects were done, one of them behind the plant's back
