export { type ChannelStat, channelStat, type EndStat } from './channel-stat.js'
export { Consumer } from './consumer.js'
export { frameAt } from './frame-at.js'
export { FRAME_TOO_LARGE, frameBytes, INSUFFICIENT_CAPACITY, NO_FRAME } from './frame.js'
export { FrameCursor } from './frame-cursor.js'
export { type ChannelHeader, type ChannelRole, type ChannelOptions, createChannel, fenceChannel, type Holder } from './header.js'
export { CAPACITY_BYTES_MAX, CAPACITY_BYTES_MIN, channelBytes } from './layout.js'
export { NO_PEER, PARKED, type Peer } from './peer.js'
export { distance } from './position.js'
export { type EndOptions, Producer } from './producer.js'
export { InProcessBell } from './in-process-bell.js'
export {
  type DutyCycle,
  type DutyCycleOptions,
  type DutyCycleStats,
  type IdleStrategy,
  LOOK_AGAIN_MS,
  type RingListener,
  type RunningDutyCycle,
  runDutyCycle,
  type Schedule,
  spinMicrosFor,
  TURN_MILLIS_MAX,
  WAIT_COUNTERS,
  type WaitCounters,
} from './waiting.js'
export { type ConsumeOptions, ConsumerChannel, type FrameHandler } from './consumer-channel.js'
export { CAPACITY_BYTES_DEFAULT } from './channel-file.js'
export { type ChannelDamage, damageTo } from './channel-damage.js'
export type { OpenChannelOptions } from './channel-hold.js'
export { openChannel } from './open-channel.js'
export { ProducerChannel } from './producer-channel.js'
export { FRAMES_PER_CHANNEL_MAX, Sweep, type SweepHandler } from './sweep.js'
export { capture, type CaptureOptions, type CaptureSummary } from './capture.js'
export type { CaptureHeader } from './capture-format.js'
export { type CaptureItem, CaptureReader } from './capture-reader.js'
export { type ChannelTapOptions, openedChannel } from './channel-tap.js'
