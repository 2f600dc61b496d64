/** Why a text cannot be subscribed to, or undefined. A shared subscription is refused: its messages come in no order. */
export function wrongFilter(filter: string): string | undefined {
  if (filter === '') return 'it is empty'
  if (filter.includes('\0')) return 'it has a null character'
  if (Buffer.byteLength(filter) > TOPIC_BYTES_MAX) return `it is longer than ${TOPIC_BYTES_MAX} bytes`
  if (filter.startsWith('$share/')) return 'a shared subscription hands out messages in no order'
  const levels = filter.split('/')
  for (const [index, level] of levels.entries()) {
    if (level.includes('#') && (level !== '#' || index !== levels.length - 1)) return '# stands only for the last level, and for all of it'
    if (level.includes('+') && level !== '+') return '+ stands only for a whole level'
  }
  return undefined
}

/** Why a text cannot be published to, or undefined. */
export function wrongTopic(topic: string): string | undefined {
  if (/[+#]/.test(topic)) return 'a topic to publish to has no + or #'
  return wrongFilter(topic)
}

/** Whether a subscription to `filter` gets what is published to `topic`. Topics that begin with $ are matched only by filters that do. */
export function matchesFilter(topic: string, filter: string): boolean {
  if (topic.startsWith('$') !== filter.startsWith('$')) return false
  const levels = topic.split('/')
  const wanted = filter.split('/')
  for (const [index, level] of wanted.entries()) {
    if (level === '#') return true
    if (index >= levels.length || (level !== '+' && level !== levels[index])) return false
  }
  return levels.length === wanted.length
}

const TOPIC_BYTES_MAX = 65_535
