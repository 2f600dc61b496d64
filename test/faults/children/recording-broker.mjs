// An aedes broker on a given port that appends what is published to a file before it acknowledges it, so that its death takes nothing that it acknowledged.
// Arguments: port, file, first level of topics whose acknowledgements it delays, and by how many milliseconds. Prints a line when it listens; ends when stdin closes.
import { openSync, writeSync } from 'node:fs'
import { createServer } from 'node:net'
import { Aedes } from 'aedes'

const [port, file, slow, delayMs] = process.argv.slice(2)
const record = openSync(file, 'a')
const broker = await Aedes.createBroker({
  authorizePublish(_client, packet, callback) {
    writeSync(record, `${JSON.stringify({ topic: packet.topic, payload: packet.payload.toString() })}\n`)
    setTimeout(callback, packet.topic.startsWith(`${slow}/`) ? Number(delayMs) : 1, null)
  },
})
createServer(broker.handle).listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'))
process.stdin.on('end', () => process.exit(0)).resume()
