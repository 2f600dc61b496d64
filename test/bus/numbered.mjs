/** Frames whose length and content follow from their number, so that a lost, doubled or torn one shows. */
export function numberedBytes(number) {
  return 8 + ((number * 7) % 57)
}

export function fillNumbered(view, offset, bytes, number) {
  view.setFloat64(offset, number, true)
  for (let at = 8; at < bytes; at++) view.setUint8(offset + at, (number + at) & 255)
}

/** The number of the frame there, or -1 when anything about it is wrong. */
export function readNumbered(view, offset, bytes) {
  if (bytes < 8) return -1
  const number = view.getFloat64(offset, true)
  if (numberedBytes(number) !== bytes) return -1
  for (let at = 8; at < bytes; at++) if (view.getUint8(offset + at) !== ((number + at) & 255)) return -1
  return number
}
