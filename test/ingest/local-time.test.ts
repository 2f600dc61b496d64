import { describe, expect, test } from 'vitest'
import { isZone, LocalTime } from '#ingest/local-time.js'
import { timeReader, wrongTimeFormat } from '#ingest/time-format.js'

const micros = (iso: string) => Date.parse(iso) * 1000
const read = (
  format: string,
  text: string,
  zone = 'Europe/Moscow',
  overlap: 'earlier' | 'later' | 'reject' = 'earlier',
  gap: 'reject' | 'shift' = 'reject',
) => timeReader(format, new LocalTime(zone, overlap, gap))(text)

describe('a local time', () => {
  test.each([
    ['Europe/Moscow', '2020-03-09 10:14:33', '2020-03-09T07:14:33Z'],
    ['Europe/Moscow', '2012-03-09 10:14:33', '2012-03-09T06:14:33Z'],
    ['America/New_York', '2020-07-01 00:00:00', '2020-07-01T04:00:00Z'],
    ['Asia/Kolkata', '2020-07-01 05:30:00', '2020-07-01T00:00:00Z'],
    ['Pacific/Apia', '2011-12-31 10:00:00', '2011-12-30T20:00:00Z'],
    ['Australia/Lord_Howe', '2020-07-01 10:30:00', '2020-07-01T00:00:00Z'],
    ['UTC', '1969-12-31 23:59:59', '1969-12-31T23:59:59Z'],
  ])('of %s is turned into UTC by the rules of its day', (zone, text, utc) => {
    expect(read('YYYY-MM-DD hh:mm:ss', text, zone)).toBe(micros(utc))
  })

  test('next to a change of the clocks gets the offset of its own side', () => {
    expect(read('iso', '2020-03-29T01:59:59', 'Europe/Berlin')).toBe(micros('2020-03-29T00:59:59Z'))
    expect(read('iso', '2020-03-29T03:00:00', 'Europe/Berlin')).toBe(micros('2020-03-29T01:00:00Z'))
    expect(read('iso', '2020-10-25T01:59:59', 'Europe/Berlin')).toBe(micros('2020-10-24T23:59:59Z'))
    expect(read('iso', '2020-10-25T03:00:00', 'Europe/Berlin')).toBe(micros('2020-10-25T02:00:00Z'))
  })

  test('that the clocks skipped is refused, or moved forward where the map says shift', () => {
    expect(read('iso', '2020-03-29T02:30:00', 'Europe/Berlin')).toBe('the clocks of Europe/Berlin skipped this time')
    expect(read('iso', '2020-03-29T02:30:00', 'Europe/Berlin', 'earlier', 'shift')).toBe(micros('2020-03-29T01:30:00Z'))
    expect(read('iso', '2011-12-30T12:00:00', 'Pacific/Apia')).toBe('the clocks of Pacific/Apia skipped this time')
  })

  test('that the clocks showed twice is the earlier one, the later one or refused', () => {
    expect(read('iso', '2020-10-25T02:30:00', 'Europe/Berlin')).toBe(micros('2020-10-25T00:30:00Z'))
    expect(read('iso', '2020-10-25T02:30:00', 'Europe/Berlin', 'later')).toBe(micros('2020-10-25T01:30:00Z'))
    expect(read('iso', '2020-10-25T02:30:00', 'Europe/Berlin', 'reject')).toBe('the clocks of Europe/Berlin showed this time twice')
  })

  test('round-trips through UTC in every hour of a year, but for the hour that is there twice', () => {
    const local = new LocalTime('America/Sao_Paulo', 'later', 'reject')
    const show = new Intl.DateTimeFormat('sv-SE', { timeZone: 'America/Sao_Paulo', dateStyle: 'short', timeStyle: 'medium' })
    for (let hour = 0; hour < 8760; hour++) {
      const utc = Date.UTC(2018, 0, 1, hour)
      const wall = Date.parse(`${show.format(utc).replace(' ', 'T')}Z`)
      const isFirstOfTwo = show.format(utc) === show.format(utc + 3_600_000)

      expect(local.toUtcMs(wall)).toBe(isFirstOfTwo ? utc + 3_600_000 : utc)
    }
  })
})

describe('a time format', () => {
  test.each([
    ['iso', '2020-03-09T10:14:33Z', '2020-03-09T10:14:33Z', 0],
    ['iso', '2020-03-09 10:14:33.5+02:00', '2020-03-09T08:14:33.5Z', 0],
    ['iso', '2020-03-09T10:14:33.123456789-0530', '2020-03-09T15:44:33.123Z', 456],
    ['iso', '2020-03-09', '2020-03-08T21:00:00Z', 0],
    ['iso', '2020-03-09T10:14', '2020-03-09T07:14:00Z', 0],
    ['unix-s', '1583748873', '2020-03-09T10:14:33Z', 0],
    ['unix-s', '1583748873.123456', '2020-03-09T10:14:33.123Z', 456],
    ['unix-s', '-0.5', '1969-12-31T23:59:59.5Z', 0],
    ['unix-s', '1.583748873e9', '2020-03-09T10:14:33Z', 0],
    ['unix-ms', '1583748873123', '2020-03-09T10:14:33.123Z', 0],
    ['unix-us', '1583748873123456', '2020-03-09T10:14:33.123Z', 456],
    ['DD.MM.YYYY hh:mm:ss.S', '09.03.2020 10:14:33.25', '2020-03-09T07:14:33.25Z', 0],
    ['M/D/YYYY h:mm:ss A', '3/9/2020 1:14:33 PM', '2020-03-09T10:14:33Z', 0],
    ['M/D/YYYY h:mm A', '3/9/2020 12:05 am', '2020-03-08T21:05:00Z', 0],
    ['YYYYMMDD_hhmmss', '20200309_101433', '2020-03-09T07:14:33Z', 0],
  ])('%s reads %s', (format, text, utc, extraMicros) => {
    expect(wrongTimeFormat(format)).toBeUndefined()
    expect(read(format, text)).toBe(micros(utc) + extraMicros)
  })

  test.each([
    ['iso', ''],
    ['iso', '2020-13-01T00:00:00Z'],
    ['iso', '2021-02-29'],
    ['iso', '2020-03-09T24:00:00Z'],
    ['iso', '2020-03-09T10:60:00Z'],
    ['iso', '09.03.2020'],
    ['unix-s', 'now'],
    ['unix-s', '1e40'],
    ['unix-us', '99999999999999999'],
    ['YYYY-MM-DD hh:mm:ss', '2020-03-09'],
    ['M/D/YYYY h:mm A', '3/9/2020 13:05 PM'],
  ])('%s says no to %s', (format, text) => {
    expect(read(format, text)).toEqual(expect.any(String))
  })

  test.each(['', 'YYYY', 'hh:mm', 'YYYY-MM-DD MM', 'nonsense'])('%s is no format', (format) => {
    expect(wrongTimeFormat(format)).toEqual(expect.any(String))
  })
})

test('a zone is a name of the zone database', () => {
  expect(['UTC', 'Europe/Moscow', 'America/Argentina/Buenos_Aires'].every(isZone)).toBe(true)
  expect(['Mars/Olympus', '', 'local'].some(isZone)).toBe(false)
})
