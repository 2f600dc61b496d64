// An aedes broker on a given port that appends what is published to a file before it acknowledges it, so that its death takes nothing that it acknowledged.
// Arguments: port, file, milliseconds by which it delays acknowledgements. Prints a line when it listens; ends when stdin closes.
import { openSync, writeSync } from 'node:fs'
import { createServer } from 'node:net'
import { Aedes } from 'aedes'

const [port, file, delayMs] = process.argv.slice(2)
const record = openSync(file, 'a')
const broker = await Aedes.createBroker({
  authorizePublish(_client, packet, callback) {
    writeSync(record, `${JSON.stringify({ topic: packet.topic, payload: packet.payload.toString() })}\n`)
    setTimeout(callback, Number(delayMs), null)
  },
})
createServer(broker.handle).listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'))
process.stdin.on('end', () => process.exit(0)).resume()
