import type { Clock } from './base/clock.ts';
import { GatewayError } from './base/errors.ts';
import { randomText } from './base/ids.ts';
import type { Logger } from './base/log.ts';
import type { AgentAway, PersonCommand, PersonOptions, WantedPerson } from './leg/person.ts';
import type { Access, SessionHost } from './leg/session-host.ts';

/** The caller hears ringing, and its call ends with the other one. */
const TO_SOMEBODY: PersonOptions = { whileRinging: 'ringback', onAnswer: 'connect', agent: 'leave', onHangup: 'end' };

/** A phone is answered some 20 ms after the word; persons can be called from then on. */
const LOOK_MS = 20;
/** As long as a set-up may take. */
const ANSWERED_WITHIN_MS = 5000;

export interface ConnectDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly host: () => SessionHost | undefined;
}

/**
 * Connects a session that has just come with somebody else than the agent; hangs up where nobody can be called.
 * @param agentAway `until_alone` leaves the caller of somebody who does not answer with the agent; `for_good` hangs up
 */
export function connectCaller(deps: ConnectDeps, sessionId: string, project: string, { to, agentAway }: WantedPerson): void {
  const { clock, log, host } = deps;
  const access: Access = { project, ephemeral: false };
  // The session is told of before it can be commanded.
  clock.setTimer(0, () => {
    const command: PersonCommand = { type: 'dial', leg: `leg_${randomText(16)}`, to, options: TO_SOMEBODY };
    connect(deps, { sessionId, access, agentAway }, command).catch((thrown: unknown) => {
      const { code, message } = GatewayError.from(thrown);
      log.warn({ session: sessionId, code, reason: message }, 'nobody to connect the caller with');
      host()
        ?.command(sessionId, access, { type: 'hangup' })
        .catch(() => undefined); // it is over by itself
    });
  });
}

async function connect(
  { clock, host }: ConnectDeps,
  { sessionId, access, agentAway }: { readonly sessionId: string; readonly access: Access; readonly agentAway: AgentAway },
  command: PersonCommand,
): Promise<void> {
  const owner = host();
  if (!owner) throw new GatewayError('ERR_NODE_UNREACHABLE', 'there is no owner of sessions');
  await owner.command(sessionId, access, { type: 'accept', session: { type: 'realtime' }, agentAway });
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
