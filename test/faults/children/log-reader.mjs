// Opens a log for reading only, says so, and waits to be killed. Argument: the directory of the log.
import { openLmdbJournal } from '#journal/lmdb/index.js'

const [directory] = process.argv.slice(2)
await openLmdbJournal({ directory, isReadOnly: true })
process.stdout.write('open\n')
setInterval(() => {}, 1000)
