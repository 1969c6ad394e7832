import type { Clock } from './base/clock.ts';
import { GatewayError } from './base/errors.ts';
import { randomText } from './base/ids.ts';
import type { Logger } from './base/log.ts';
import type { DialRequest } from './leg/leg.ts';
import type { PersonCommand, PersonOptions } from './leg/person.ts';
import type { Access, SessionHost } from './leg/session-host.ts';

/** The agent keeps out of it; the caller hears ringing, and its call ends with the other one. Who does not answer leaves the caller with the agent. */
const TO_SOMEBODY: PersonOptions = { whileRinging: 'ringback', onAnswer: 'connect', agent: 'leave', onHangup: 'end' };

/** A phone is answered some 20 ms after the word; persons can be called from then on, and until then the agent could begin to speak. */
const LOOK_MS = 20;
/** As long as a set-up may take. */
const ANSWERED_WITHIN_MS = 5000;

export interface ConnectDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly host: () => SessionHost | undefined;
}

/** Connects a session that has just come with somebody else than the agent; hangs up where nobody can be called. */
export function connectCaller(deps: ConnectDeps, sessionId: string, project: string, to: DialRequest): void {
  const { clock, log, host } = deps;
  const access: Access = { project, ephemeral: false };
  // The session is told of before it can be commanded.
  clock.setTimer(0, () => {
    connect(deps, sessionId, access, { type: 'dial', leg: `leg_${randomText(16)}`, to, options: TO_SOMEBODY }).catch((thrown: unknown) => {
      const { code, message } = GatewayError.from(thrown);
      log.warn({ session: sessionId, code, reason: message }, 'nobody to connect the caller with');
      host()
        ?.command(sessionId, access, { type: 'hangup' })
        .catch(() => undefined); // it is over by itself
    });
  });
}

async function connect({ clock, host }: ConnectDeps, sessionId: string, access: Access, command: PersonCommand): Promise<void> {
  const owner = host();
  if (!owner) throw new GatewayError('ERR_NODE_UNREACHABLE', 'there is no owner of sessions');
  await owner.command(sessionId, access, { type: 'accept', session: { type: 'realtime' } });
  const giveUpAt = clock.now() + ANSWERED_WITHIN_MS;
  for (;;) {
    try {
      await owner.command(sessionId, access, { type: 'person', command });
      return;
    } catch (thrown) {
      if (GatewayError.from(thrown).code !== 'ERR_INVALID_STATE' || clock.now() >= giveUpAt) throw thrown;
    }
    await new Promise<void>((resolve) => clock.setTimer(LOOK_MS, resolve));
  }
}
