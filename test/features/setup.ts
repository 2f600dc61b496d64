import { readdirSync } from 'node:fs'

/** Words first: the sentences of the others are made of them. */
const WORDS = 'words.ts'

// Once in each process, however many features it runs: modules stay, and a sentence that is defined twice is ambiguous.
for (const name of [WORDS, ...readdirSync(new URL('./steps', import.meta.url)).filter((other) => other !== WORDS)])
  await import(new URL(`./steps/${name}`, import.meta.url).pathname)
