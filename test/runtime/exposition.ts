/** A sample line of the Prometheus text format. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Family {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly samples: readonly Sample[]
}

export interface Exposition {
  readonly families: readonly Family[]
  /** Of the sample with exactly these labels. Throws when there is none. */
  readonly value: (name: string, labels: Readonly<Record<string, string>>) => number
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const LABEL = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])+"`
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (\\S+)$`)
const VALUE = /^(?:[+-]?Inf|[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/
const SUFFIXES: Readonly<Record<string, readonly string[]>> = { histogram: ['_bucket', '_sum', '_count'] }

/**
 * Reads the text format as strictly as Prometheus's own linter: HELP and TYPE before the samples of a family, each family once and in one piece, no sample
 * twice, no empty label, no NaN; buckets of a histogram cumulative up to `+Inf`, which is its count; a line feed at the end. Throws at what is not.
 */
export function parseExposition(text: string): Exposition {
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  const families: { name: string; type: string; help: string; samples: Sample[] }[] = []
  const seen = new Set<string>()
  let help: { name: string; text: string } | undefined
  for (const line of text.split('\n')) {
    if (line === '') continue
    const comment = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`).exec(line)
    if (comment?.[1] === 'HELP') {
      help = { name: comment[2] ?? '', text: comment[3] ?? '' }
    } else if (comment?.[1] === 'TYPE') {
      const name = comment[2] ?? ''
      if (help?.name !== name) throw new Error(`no HELP before TYPE: ${line}`)
      if (families.some((family) => family.name === name)) throw new Error(`a family twice: ${line}`)
      if (!/^(?:counter|gauge|histogram)$/.test(comment[3] ?? '')) throw new Error(`no type: ${line}`)
      families.push({ name, type: comment[3] ?? '', help: help.text, samples: [] })
    } else {
      const sample = parseSample(line)
      const family = families.at(-1)
      const names = SUFFIXES[family?.type ?? '']?.map((suffix) => `${family?.name}${suffix}`) ?? [family?.name]
      if (!names.includes(sample.name)) throw new Error(`a sample outside its family: ${line}`)
      const key = keyOf(sample.name, sample.labels)
      if (seen.has(key)) throw new Error(`a sample twice: ${line}`)
      seen.add(key)
      if (family?.type === 'counter' && sample.value < 0) throw new Error(`a negative counter: ${line}`)
      family?.samples.push(sample)
    }
  }
  for (const family of families) if (family.type === 'histogram') checkBuckets(family)
  const samples = families.flatMap((family) => family.samples)
  return {
    families,
    value: (name, labels) => {
      const found = samples.find((sample) => keyOf(sample.name, sample.labels) === keyOf(name, labels))
      if (found === undefined) throw new Error(`there is no ${keyOf(name, labels)}`)
      return found.value
    },
  }
}

function parseSample(line: string): Sample {
  const [, name, labels = '', value = ''] = SAMPLE.exec(line) ?? []
  if (name === undefined || !VALUE.test(value)) throw new Error(`no sample: ${line}`)
  const pairs = [...labels.matchAll(/([^=,]+)="((?:[^"\\]|\\.)+)"/g)].map((match) => [match[1] ?? '', match[2] ?? ''] as const)
  if (new Set(pairs.map(([label]) => label)).size < pairs.length) throw new Error(`a label twice: ${line}`)
  return { name, labels: Object.fromEntries(pairs), value: Number(value.replace('Inf', 'Infinity')) }
}

function keyOf(name: string, labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `${name}{${pairs.map(([label, value]) => `${label}="${value}"`).join(',')}}`
}

function checkBuckets({ name, samples }: Family): void {
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`)
  const count = samples.find((sample) => sample.name === `${name}_count`)?.value
  const isRising = buckets.every((bucket, index) => index === 0 || bucket.value >= (buckets[index - 1]?.value ?? 0))
  const isWhole = buckets.at(-1)?.labels['le'] === '+Inf' && buckets.at(-1)?.value === count
  if (!isRising || !isWhole) throw new Error(`the buckets of ${name} do not add up`)
}
