// npm run example -- press: a plant of processes, until Ctrl-C. In a second terminal, in this folder:
//   npx millrace send press/press-1 sample '{"temperature":95,"force":3}'
import { definePlant } from 'millrace'
import { Press } from './press.js'

export default definePlant({ entities: [Press] })
