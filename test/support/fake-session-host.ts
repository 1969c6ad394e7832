import { GatewayError } from '../../src/base/errors.ts';
import type { Leg, LegEvent, LegOpening, LegWish, OfferedLeg, OpenedLeg } from '../../src/leg/leg.ts';
import type {
  Access,
  CallCommand,
  CallView,
  ChannelOpening,
  EventChannel,
  OpenedChannel,
  SessionHost,
} from '../../src/leg/session-host.ts';
import { EventLog } from './wait.ts';

interface FakeChannel {
  readonly opening: ChannelOpening | { readonly sessionId: string; readonly access: Access };
  readonly channel: EventChannel;
  readonly received: EventLog<string>;
  readonly closed: EventLog<true>;
}

interface FakeLeg {
  readonly opening: LegOpening;
  readonly leg: Leg;
  readonly told: EventLog<LegEvent>;
}

/** An owner of sessions that does nothing but note what it is asked. */
export class FakeSessionHost implements SessionHost {
  readonly legs: FakeLeg[] = [];
  readonly channels: FakeChannel[] = [];
  readonly commands: { readonly id: string; readonly access: Access; readonly command: CallCommand }[] = [];
  readonly restarts: { readonly id: string; readonly access: Access; readonly offer: string }[] = [];
  /** What lives, for `list`, `attach` and `command`. */
  calls: CallView[] = [];
  /** Thrown by whatever is asked next, as long as it stands here. */
  failure: GatewayError | undefined;
  /** What `open`, `connect` and `attach` wait for. */
  gate: Promise<void> = Promise.resolve();
  /** How many have come to the gate. */
  arrived = 0;
  #made = 0;

  async open(opening: LegOpening, leg: Leg): Promise<OpenedLeg> {
    this.#mayFail();
    const told = new EventLog<LegEvent>();
    this.legs.push({ opening, leg, told });
    this.arrived += 1;
    await this.gate;
    const sessionId = this.#addCall(opening.policy?.project ?? 'default', opening.origin.kind);
    return { sessionId, answer: 'v=0\r\nanswer', tell: (event) => told.push(event), reoffer: async () => 'v=0\r\nanother answer' };
  }

  async offer(opening: LegWish, leg: Leg): Promise<OfferedLeg> {
    const { answer: offer, ...opened } = await this.open({ ...opening, offer: '' }, leg);
    return { ...opened, offer, accept: async () => undefined };
  }

  async connect(opening: ChannelOpening, channel: EventChannel): Promise<OpenedChannel> {
    this.#mayFail();
    this.arrived += 1;
    await this.gate;
    return this.#channel(this.#addCall(opening.access.project, 'websocket'), opening, channel);
  }

  async attach(sessionId: string, access: Access, channel: EventChannel): Promise<OpenedChannel> {
    this.#mayFail();
    this.#find(sessionId, access);
    this.arrived += 1;
    await this.gate;
    return this.#channel(sessionId, { sessionId, access }, channel);
  }

  async command(id: string, access: Access, command: CallCommand): Promise<void> {
    this.#mayFail();
    this.#find(id, access);
    this.commands.push({ id, access, command });
  }

  async restart(id: string, access: Access, offer: string): Promise<string> {
    this.#mayFail();
    this.#find(id, access);
    this.restarts.push({ id, access, offer });
    return 'v=0\r\nanswer to a restart';
  }

  async list({ project }: Access): Promise<readonly CallView[]> {
    this.#mayFail();
    return this.calls.filter((call) => call.project === project);
  }

  #addCall(project: string, kind: CallView['kind']): string {
    this.#made += 1;
    const id = `rtc_0_${this.#made}`;
    this.calls.push({ id, project, kind, direction: 'inbound', state: 'live', startedAt: 1_700_000_000_000 });
    return id;
  }

  #channel(sessionId: string, opening: FakeChannel['opening'], channel: EventChannel): OpenedChannel {
    const received = new EventLog<string>();
    const closed = new EventLog<true>();
    this.channels.push({ opening, channel, received, closed });
    channel.send(JSON.stringify({ type: 'session.created', event_id: 'event_1', session: { id: sessionId } }));
    return { sessionId, receive: (event) => received.push(event), close: () => closed.push(true) };
  }

  #find(id: string, { project }: Access): void {
    if (!this.calls.some((call) => call.id === id && call.project === project))
      throw new GatewayError('ERR_NOT_FOUND', 'There is no such call.');
  }

  #mayFail(): void {
    if (this.failure) throw this.failure;
  }
}
