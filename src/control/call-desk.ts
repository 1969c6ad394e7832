import type { Clock, Timer } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import { randomText } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import type { RuleTried } from '../base/rule-tried.ts';
import type { DialRequest, LegOrigin, LegPolicy } from '../leg/leg.ts';
import type { WantedPerson } from '../leg/person.ts';
import type { CallDialler } from './call-dialler.ts';
import type { ArrivingCall, RouteTable, Routing } from './route-table.ts';
import { type AttemptResult, type DeliveryOutcome, WebhookDelivery, type WebhookPost } from './webhook-delivery.ts';
import { incomingCallBody } from './webhook-event.ts';

export interface CallDeskDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly routes: RouteTable;
  readonly post: WebhookPost;
  /** Connects a session that has just come with whom its caller wants, without the agent. */
  readonly connect?: (sessionId: string, project: string, wanted: WantedPerson) => void;
  /** Places a call by SIP. @returns its Call-ID @throws GatewayError as LegDialler.dial() */
  readonly dial: (request: DialRequest) => Promise<string>;
}

/** A phone call that has a session. */
export interface DeskCall {
  /** Somebody has decided, or nobody can any more: the webhook need not be tried again. */
  decided(): void;
}

/** From INVITE to session; the phone's side gives up after the same time. */
const OPEN_MS = 5000;
/** SIP's word for: not now. */
const UNAVAILABLE = 480;
/** 96 bits. */
const EVENT_CHARACTERS = 16;

interface Expected {
  readonly policy: LegPolicy;
  readonly opened: (sessionId: string) => void;
  readonly failed: (error: GatewayError) => void;
  readonly timer: Timer;
}

/** Says what becomes of phone calls: asks the routes, tells webhooks, and knows the calls that programs have placed. */
export class CallDesk implements CallDialler {
  readonly #deps: CallDeskDeps;
  #routes: RouteTable;
  /** Calls of ours until their session is there, by SIP's Call-ID. At most as many as lines. */
  readonly #expected = new Map<string, Expected>();
  /** Until its session is there. At most as many as lines. */
  readonly #routed = new Map<string, Routing>();
  /** Users who want somebody else than the agent, until their session is there. */
  readonly #wanted = new Map<string, { readonly project: string; readonly wanted: WantedPerson }>();
  readonly #attempts: Counter<'result'>;
  readonly #deliveries: Counter<'outcome'>;

  constructor(deps: CallDeskDeps) {
    this.#deps = deps;
    this.#routes = deps.routes;
    this.#attempts = deps.metrics.counter('webhook_attempts_total', 'Requests to webhooks, by what came of them.', ['result']);
    this.#deliveries = deps.metrics.counter('webhook_events_total', 'Events for webhooks, by what became of them.', ['outcome']);
  }

  /** Other routes from now on; calls that are there keep theirs. */
  setRoutes(routes: RouteTable): void {
    this.#routes = routes;
  }

  /** Whose this call is and who decides. @param sipCallId by which `opened` or `failed` follows @param tried gets the routes that were looked at */
  policyFor(sipCallId: string, call: ArrivingCall, tried?: RuleTried[], wanted?: WantedPerson): LegPolicy {
    const expected = this.#expected.get(sipCallId);
    if (expected) return expected.policy;
    const routing = this.#routes.routeFor(call, tried);
    if (wanted) {
      const { project } = routing.policy;
      this.#wanted.set(sipCallId, { project, wanted });
      return { project, decide: { by: 'api', withinMs: OPEN_MS, otherwise: { type: 'reject', status: UNAVAILABLE } } };
    }
    if (routing.webhook) this.#routed.set(sipCallId, routing);
    return routing.policy;
  }

  /** The session of this call is there: who waits for it is told. */
  opened(sessionId: string, origin: LegOrigin): DeskCall {
    const sipCallId = origin.sipCallId ?? '';
    this.#expected.get(sipCallId)?.opened(sessionId);
    const connecting = this.#wanted.get(sipCallId);
    this.#wanted.delete(sipCallId);
    if (connecting) this.#deps.connect?.(sessionId, connecting.project, connecting.wanted);
    const { webhook } = this.#routed.get(sipCallId) ?? {};
    this.#routed.delete(sipCallId);
    if (!webhook) return { decided: () => undefined };
    const { clock, post } = this.#deps;
    const id = `evt_${randomText(EVENT_CHARACTERS)}`;
    const body = incomingCallBody({ id, createdAt: Math.floor(clock.wallclock() / 1000), callId: sessionId, origin });
    const onAttempt = (result: AttemptResult): void => this.#attempts.inc({ result });
    const delivery = new WebhookDelivery({ clock, post, onAttempt }, webhook, { id, body }, webhook.withinMs);
    void delivery.outcome.then((outcome) => this.#delivered(sessionId, outcome));
    return { decided: () => delivery.cancel() };
  }

  /** There will be no session for this call. */
  failed(sipCallId: string, error: GatewayError): void {
    this.#routed.delete(sipCallId);
    this.#wanted.delete(sipCallId);
    this.#expected.get(sipCallId)?.failed(error);
  }

  async dial(request: DialRequest, policy: LegPolicy): Promise<string> {
    const sipCallId = await this.#deps.dial(request);
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#expected.delete(sipCallId);
        timer.cancel();
      };
      const failed = (error: GatewayError): void => {
        end();
        reject(error);
      };
      const timer = this.#deps.clock.setTimer(OPEN_MS, () => failed(new GatewayError('ERR_TIMEOUT', 'The call got no session in time.')));
      const opened = (sessionId: string): void => {
        end();
        resolve(sessionId);
      };
      this.#expected.set(sipCallId, { policy, opened, failed, timer });
    });
  }

  #delivered(session: string, outcome: DeliveryOutcome): void {
    this.#deliveries.inc({ outcome });
    if (outcome === 'undelivered') this.#deps.log.warn({ session }, 'webhook not delivered');
  }
}
