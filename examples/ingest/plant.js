// Machines of public data sets, each with the map that takes its files in:
//   npm run example -- ingest
// and in a second terminal, in this folder:
//   npx millrace ingest csv PATH/valve1/0.csv --map skab.map.yaml
// Without a running plant the second one starts this plant for as long as it takes.
import { definePlant } from 'millrace'
import { CncMill } from './cnc-mill.js'
import { Press } from './press.js'
import { Thermometer } from './thermometer.js'
import { WaterPump } from './water-pump.js'

export default definePlant({ entities: [WaterPump, Thermometer, CncMill, Press] })
