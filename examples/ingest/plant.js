// Machines of public data sets, each with the map that takes its files in:
//   npm run example -- ingest
//   npx millrace ingest csv valve1/0.csv --map skab.map.yaml
import { definePlant } from 'millrace'
import { CncMill } from './cnc-mill.js'
import { Thermometer } from './thermometer.js'
import { WaterPump } from './water-pump.js'

export default definePlant({ entities: [WaterPump, Thermometer, CncMill] })
