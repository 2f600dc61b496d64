// An aedes broker with its queues in memory; prints its port. Ends when stdin closes.
//
// aedes lets new messages overtake those it kept for a client that comes back, which MQTT forbids. So from the moment a client with a session
// connects until it has got its queue, publishers wait.
import { createServer } from 'node:net'
import { Aedes } from 'aedes'

let restoring = 0
let waiting = []
const isRestoring = new WeakSet()

function done(client) {
  if (!isRestoring.delete(client)) return
  restoring--
  if (restoring > 0) return
  const callbacks = waiting
  waiting = []
  for (const callback of callbacks) callback(null)
}

const broker = await Aedes.createBroker({
  preConnect(client, packet, callback) {
    if (packet.clean) return callback(null, true)
    isRestoring.add(client)
    restoring++
    client.conn.once('close', () => done(client))
    // What was let in before is handed to the queues within some turns.
    setTimeout(() => callback(null, true), 20)
  },
  authorizePublish(_client, _packet, callback) {
    if (restoring > 0) waiting.push(callback)
    else callback(null)
  },
})
broker.on('clientReady', done)

const server = createServer(broker.handle)
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`))
process.stdin.on('end', () => process.exit(0)).resume()
