import { describe, expect, test } from 'vitest'
import { explainFailure } from '#ingest/mqtt-failure.js'

const failed = (code: number | string, message = 'said so') => Object.assign(new Error(message), { code })

describe('a failure of the connection to a broker', () => {
  test.each([
    ['MQTT 3.1.1, wrong password', failed(4), 'the broker refuses user name or password'],
    ['MQTT 3.1.1, not let in', failed(5), 'the broker does not let this client in'],
    ['MQTT 3.1.1, wrong version', failed(1), 'the broker does not speak this version of MQTT'],
    ['MQTT 5, wrong password', failed(134), 'the broker refuses user name or password'],
    ['MQTT 5, taken over', failed(142), 'another client connected with the same client id'],
    ['an unknown authority', failed('DEPTH_ZERO_SELF_SIGNED_CERT'), 'the certificate of the broker is not trusted: said so'],
    [
      'a certificate for another host',
      failed('ERR_TLS_CERT_ALTNAME_INVALID'),
      'the certificate of the broker is for another host: said so',
    ],
    ['an old certificate', failed('CERT_HAS_EXPIRED'), 'the certificate of the broker has expired'],
    ['no TLS', failed('ERR_SSL_WRONG_VERSION_NUMBER'), 'no TLS with the broker: said so'],
  ])('that is %s needs a person, who is told what to do', (_name, error, fact) => {
    const explained = explainFailure(error)

    expect(explained).toMatchObject({ fact, isRefusal: true })
    expect(explained.next).not.toBe('')
  })

  test.each([
    ['nobody there', failed('ECONNREFUSED', 'connect ECONNREFUSED'), 'the broker does not answer: connect ECONNREFUSED'],
    ['many addresses and nobody there', failed('ECONNREFUSED', ''), 'the broker does not answer: ECONNREFUSED'],
    [
      'a server that is busy',
      failed(3, 'Connection refused: Server unavailable'),
      'the broker does not answer: Connection refused: Server unavailable',
    ],
    ['an end without a word', undefined, 'the broker ended the connection'],
  ])('that is %s may mend itself', (_name, error, fact) => {
    expect(explainFailure(error)).toMatchObject({ fact, isRefusal: false })
  })
})
