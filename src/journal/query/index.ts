export { planScan, type ScanPlan, type ScanUnit } from './plan-scan.js'
export type { QuerySchema } from './resolved-query.js'
export { runQuery } from './run-query.js'
