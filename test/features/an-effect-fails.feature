Feature: Something outside of the plant is not as it should be
  What entities want done outside is done once it can be, under one key. What cannot be done is parked, and an operator looks at it and decides.

  Background:
    Given a plant of lamps that page somebody when they are lit

  @processes
  Scenario: A pager is away for a while
    Given a pager that fails at first
    When lamp a is lit
    Then lamp a hears that its page was done
    And the pager has got it 3 times under one key

  @processes
  Scenario: A pager wants no such page, until it is mended
    Given a pager that knows nobody
    When lamp b is lit
    Then lamp b hears that its page failed
    And 1 effect is parked, since the pager answered 404
    When the pager is mended
    And the operator tries the oldest parked command again
    Then the operator is told that it is done
    And no effect is parked
    And lamp b hears that its page was done
    And the pager has got it 2 times under one key
    And the operator sees that 2 effects were done, one of them behind the plant's back
