import { type OpenChannelOptions, takeHold } from './channel-hold.js'
import { ConsumerChannel } from './consumer-channel.js'
import { ProducerChannel } from './producer-channel.js'

/**
 * Opens one end of the channel `name` in `directory`. Either end may come first; the channel outlives both. An end whose holder died is taken
 * over: a producer goes on at the published position, a consumer starts over at the released one. A channel that is damaged, or that an end
 * gave up as damaged, is made anew, empty; one that is not never is. The process stays alive until the end is closed.
 *
 * Throws ERR_CHANNEL_HELD when a living process, this one included, has the end; ERR_CHANNEL_OPTION for a wrong name, and for a capacity or
 * checksums other than the channel's; ERR_CHANNEL_SCHEMA; ERR_CHANNEL_FORMAT when a file that never was a channel of this format is in the way;
 * what src/shm throws for the files, above all ERR_SHM_NO_ROOM; and ERR_ADDON_MISSING.
 */
export function openChannel(options: OpenChannelOptions & { readonly role: 'producer' }): ProducerChannel
export function openChannel(options: OpenChannelOptions & { readonly role: 'consumer' }): ConsumerChannel
export function openChannel(options: OpenChannelOptions): ProducerChannel | ConsumerChannel
export function openChannel(options: OpenChannelOptions): ProducerChannel | ConsumerChannel {
  const hold = takeHold(options)
  try {
    return options.role === 'producer' ? new ProducerChannel(hold) : new ConsumerChannel(hold)
  } catch (error) {
    hold.close()
    throw error
  }
}
