import type { SubscribeOptions, Subscription } from '#reading/subscription.js'

export interface OpenSubscriptionOptions extends SubscribeOptions {
  /** Data directory of the plant. */
  readonly data: string
}

/**
 * Rows of a plant of other processes, in global order and at least once, across restarts of this process, of the journal and of the plant. Resolves once it has its
 * place in the log. One with a name waits for the plant to run, since the journal keeps its checkpoint; one without reads the log of a plant that does not run, too.
 * Until then its signal ends the waiting: what comes back is closed. Throws ERR_NO_JOURNAL, and what `subscribe` throws.
 */
export async function openSubscription({ data, ...options }: OpenSubscriptionOptions): Promise<Subscription> {
  // Every process of a plant imports the package with its plant module, and few open a subscription.
  const [{ ControlFeed }, { requireLog }, { Subscription }] = await Promise.all([
    import('./control-feed.js'),
    import('./journal-access.js'),
    import('#reading/subscription.js'),
  ])
  requireLog(data)
  const subscription = new Subscription(new ControlFeed({ dataDirectory: data, mayReadAlone: options.name === undefined }), options)
  try {
    await subscription.opened
  } catch (error) {
    await subscription.close()
    if (options.signal?.aborted !== true) throw error
  }
  return subscription
}
