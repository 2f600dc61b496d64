/** A semantic version as semver.org 2.0.0 has it, taken apart. */
interface Version {
  readonly numbers: readonly [major: number, minor: number, patch: number]
  /** Empty for a release. */
  readonly pre: readonly string[]
}

const VERSION = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?$/
const VERSION_CHARACTERS_MAX = 100

export function isVersion(text: string): boolean {
  return text.length <= VERSION_CHARACTERS_MAX && VERSION.test(text)
}

/** Negative when `a` comes before `b`, 0 when they have the same precedence: what follows a `+` does not count. Of texts that are versions. */
export function compareVersions(a: string, b: string): number {
  const one = parse(a)
  const other = parse(b)
  for (const index of [0, 1, 2] as const) {
    const difference = one.numbers[index] - other.numbers[index]
    if (difference !== 0) return difference
  }
  if (one.pre.length === 0 || other.pre.length === 0) return other.pre.length - one.pre.length
  for (const [index, part] of one.pre.entries()) {
    const otherPart = other.pre[index]
    if (otherPart === undefined) return 1
    const difference = comparePre(part, otherPart)
    if (difference !== 0) return difference
  }
  return one.pre.length - other.pre.length
}

function comparePre(a: string, b: string): number {
  const [isNumber, isOtherNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)]
  if (isNumber && isOtherNumber) return Number(a) - Number(b)
  if (isNumber !== isOtherNumber) return isNumber ? -1 : 1
  return a < b ? -1 : Number(a > b)
}

function parse(text: string): Version {
  const [, major, minor, patch, pre] = VERSION.exec(text) ?? []
  return { numbers: [Number(major), Number(minor), Number(patch)], pre: pre === undefined ? [] : pre.split('.') }
}
