/** The entry `millrace/journal`: the log of a data directory without the rest of a plant. Importing it loads no database; opening a log does. */
export * from '#journal/in-memory/index.js'
export * from '#journal/index.js'
export * from '#journal/lmdb/index.js'
export type { RowBatch } from '#reading/row-cursor.js'
export { subscribe, type SubscribeOptions, type Subscription, type SubscriptionStats } from '#reading/subscription.js'
export { type SubscriptionRegistry, type SubscriptionState, subscriptionsOf } from '#reading/subscription-registry.js'
