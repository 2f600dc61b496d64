import { messageOf } from '#base/errors.js'
import { serveControl } from '#processes/control-socket.js'
import { JournalServer } from '#serving/journal-server.js'
import { dataPaths, loadStore, openLog } from './data-directory.js'
import { journalMethods } from './journal-service.js'
import { startRetention } from './log-retention.js'
import { newEventsOf, registerCode } from './registered-code.js'
import { ROOM_EVENT, runRole, settled } from './role-process.js'
import { wireJournal } from './wiring.js'

interface CodeArgs {
  readonly schemas: readonly string[]
}

const COUNTERS_EVERY_MS = 100
/**
 * Under load a group of 1,250 rows costs a fifth more processor time a row than one of 4,096 (journal-append), which is time that the workers do not
 * have. Below that load nothing waits.
 */
const GATHER = { framesMin: 1024, ms: 3 }

/** The journal process: the only one that opens the log for writing. Serves workers over the bus and tools over its control socket. */
export function runJournalProcess(): Promise<void> {
  return runRole('journal', loadStore, async (context) => {
    const { settings, clock, log } = context
    const startedMs = clock.monotonicMs()
    const journal = await openLog(settings.dataDirectory, {
      reserveBytes: settings.config.journal.reserveBytes,
      mapBytes: settings.config.journal.mapBytes,
      segmentRowsMax: settings.config.journal.segmentRowsMax,
      segmentBytesMax: settings.config.journal.segmentBytesMax,
      segmentAgeMs: settings.config.journal.segmentAgeMs,
      onUnsealedMax: () => context.table.counters({ role: 'journal', slot: 0 }).add('sealingWaits'),
      onSealFailed: (error) => log.warn({ error: messageOf(error) }, 'a segment is not sealed and stays as it is'),
    })
    const openMs = clock.monotonicMs() - startedMs
    await registerCode(journal, settings.schemas, settings.dataDirectory)
    const counters = context.table.counters({ role: 'journal', slot: 0 })
    counters.set('waitsForRoom', 0)
    let cycle: ReturnType<typeof context.run> | undefined
    const server = new JournalServer({
      journal,
      links: wireJournal(context.access, settings.shape, context.holder),
      clock,
      framesMax: settings.config.journal.batchRowsMax,
      bytesMax: settings.config.journal.batchBytesMax,
      gather: GATHER,
      onFatal: (error) => context.fail(error),
      wake: () => cycle?.wake(),
      onRoom: (missing) => {
        counters.set('waitsForRoom', missing === undefined ? 0 : 1)
        const message = missing === undefined ? 'the disk has room again, and appending goes on' : messageOf(missing)
        log.warn(message)
        context.lifeline.send({ kind: 'event', name: ROOM_EVENT, data: { message } })
      },
      onDurable: (rowCount, frameCount, micros) => {
        counters.add('appendsTaken', frameCount)
        counters.add('eventsStored', rowCount)
        counters.add('blocksStored')
        counters.add('fsyncMicros', micros)
      },
    })
    cycle = context.run(server)
    const noRoomBefore = counters.get('backPressure')
    setInterval(() => {
      counters.set('storedBytes', journal.storedBytes())
      counters.set('backPressure', noRoomBefore + server.counters.noRoom)
    }, COUNTERS_EVERY_MS).unref()
    const control = await serveControl(dataPaths(settings.dataDirectory).journalSocket, journalMethods(journal))
    const retention = startRetention({
      journal,
      server,
      placement: context.access.placement,
      config: settings.config.retention,
      dataDirectory: settings.dataDirectory,
      clock,
      log: (level, message, values) => log[level](values, message),
    })
    context.lifeline.serveCalls({
      endPosition: () => journal.endPosition,
      idle: () => server.isIdle,
      newEvents: (args) => newEventsOf(journal, (args as CodeArgs).schemas, settings.dataDirectory),
      register: (args) => registerCode(journal, (args as CodeArgs).schemas, settings.dataDirectory),
    })
    return {
      details: { phases: { open: openMs, register: clock.monotonicMs() - startedMs - openMs }, shardCount: journal.shardCount },
      drain: async (withinMs) => {
        if (!(await settled(() => server.isIdle, withinMs, clock))) log.warn('ends with appends that no worker waits for')
        await control.close()
        await retention?.stop()
        await journal.close()
      },
    }
  })
}
