import { runGatewayProcess } from '#runtime/gateway-process.js'

await runGatewayProcess()
