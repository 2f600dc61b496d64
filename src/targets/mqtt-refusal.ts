/** Why a broker of MQTT 5 does not take a message, for a person. */
export interface MqttRefusal {
  readonly fact: string
  readonly next: string
  /** The same message may be taken in a moment. */
  readonly isPassing: boolean
}

/** A message that is larger than the broker takes: not sent, since the broker would end the connection. */
export const PACKET_TOO_LARGE = 149

/** Reason codes of PUBACK. */
const REFUSALS: Readonly<Record<number, MqttRefusal>> = {
  135: refusal('the broker does not let this client publish to the topic', 'allow it there, or choose another topic'),
  144: refusal('the broker does not take the name of the topic', 'choose another topic'),
  145: { fact: 'the broker has a message of the same number', next: 'nothing: it is sent again', isPassing: true },
  [PACKET_TOO_LARGE]: refusal('the message is larger than the broker takes', 'raise its limit, or publish less with payload'),
  151: { fact: 'the broker has reached a limit for this client', next: 'raise it, or publish fewer events', isPassing: true },
  153: refusal('the broker does not take the payload', 'publish what it takes with payload'),
}

export function explainRefusal(code: number): MqttRefusal {
  return REFUSALS[code] ?? refusal(`the broker refuses the message with reason code ${code}`, 'look at the log of the broker')
}

function refusal(fact: string, next: string): MqttRefusal {
  return { fact, next, isPassing: false }
}
