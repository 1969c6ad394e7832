import { Driver } from '../../base/driver.ts';
import { GatewayError } from '../../base/errors.ts';
import type { IncomingRefer, ReferProgress, SentHeaders } from '../engine.ts';
import type { CallServices } from './call-services.ts';
import type { Dialog } from './dialog.ts';
import type { Respond } from './dialog-session.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { parseNameAddress } from './name-address.ts';
import { ReferMachine } from './refer-machine.ts';
import { ReceivedRefer } from './refer-received.ts';
import { readReferTo } from './refer-to.ts';
import { sentHeaderLines } from './sent-headers.ts';
import { readFragment } from './sipfrag.ts';
import { encodeText } from './text.ts';

interface Sent {
  readonly machine: ReferMachine;
  readonly driver: Driver<ReferProgress>;
  readonly cseq: () => number;
}

/** Transfers inside one dialog, in both directions, one at a time each way (RFC 3515, RFC 5589). */
export class CallTransfer {
  readonly #services: CallServices;
  readonly #dialog: Dialog;
  readonly #localAddress: string;
  #sent: Sent | undefined;
  #received: ReceivedRefer | undefined;
  #stopped = false;

  constructor(services: CallServices, dialog: Dialog, localAddress: string) {
    this.#services = services;
    this.#dialog = dialog;
    this.#localAddress = localAddress;
  }

  /** @throws GatewayError as Call.refer() */
  refer(target: string, onProgress: (progress: ReferProgress) => void, headers: SentHeaders = []): void {
    const further = sentHeaderLines(headers);
    const written = encodeText(target);
    if (parseNameAddress(`<${written}>`) === undefined) throw new GatewayError('ERR_NOT_FOUND', 'the target is no URI');
    if (this.#stopped) throw new GatewayError('ERR_INVALID_STATE', 'the call is over');
    if (this.#sent && !this.#sent.machine.done) throw new GatewayError('ERR_INVALID_STATE', 'a transfer is under way already');
    const machine = new ReferMachine();
    const driver = new Driver<ReferProgress>(this.#services.clock, machine, (progress) => {
      if (progress.type === 'succeeded' || progress.type === 'failed') driver.stop();
      onProgress(progress);
    });
    const request = this.#services.request(
      this.#dialog,
      this.#localAddress,
      'REFER',
      [
        ['Refer-To', `<${written}>`],
        ['Referred-By', this.#services.contact(this.#localAddress, this.#dialog.nextHop().transport, this.#dialog.secure)],
        ['Contact', this.#services.contact(this.#localAddress, this.#dialog.nextHop().transport, this.#dialog.secure)],
        ...further,
      ],
      {
        onResponse: ({ status, reason, headers }) => {
          const subscribed = headers.first('refer-sub')?.toLowerCase().startsWith('false') !== true;
          if (status >= 200) driver.run((now) => machine.handleFinal(now, { status, reason }, subscribed));
        },
        onTimeout: () => driver.run((now) => machine.handleFinal(now, { status: 408, reason: 'no response' }, false)),
      },
    );
    this.#sent = { machine, driver, cseq: () => request.cseq };
  }

  /** @param ask the application's decision */
  handleRefer(request: IncomingRequest, respond: Respond, ask: ((refer: IncomingRefer) => boolean) | undefined): void {
    if (this.#stopped) {
      respond(481); // it crossed our BYE
      return;
    }
    const { headers } = request.message;
    const value = headers.count('refer-to') === 1 ? headers.first('refer-to') : undefined;
    const to = value === undefined ? undefined : readReferTo(value);
    if (!to) {
      respond(400, { reason: 'Bad Refer-To' });
      return;
    }
    if (this.#received && !this.#received.done) {
      respond(491);
      return;
    }
    const { uri: target, replaces } = to;
    const refer = new ReceivedRefer(this.#services, this.#dialog, {
      target,
      replaces,
      localAddress: this.#localAddress,
      cseq: request.cseq,
    });
    if (!this.#ask(ask, refer)) {
      respond(603);
      return;
    }
    this.#received = refer;
    respond(202, { headers: [['Contact', this.#services.contact(this.#localAddress, request.source.transport, this.#dialog.secure)]] });
    refer.accepted();
  }

  handleNotify(request: IncomingRequest, respond: Respond): void {
    const { headers, body } = request.message;
    const [, event, id] = /^([^;\s]+)(?:[ \t]*;[ \t]*id[ \t]*=[ \t]*(\d{1,10}))?/i.exec(headers.first('event') ?? '') ?? [];
    if (event?.toLowerCase() !== 'refer') {
      respond(489, { headers: [['Allow-Events', 'refer']] });
      return;
    }
    const sent = this.#sent;
    if (!sent || (id !== undefined && Number(id) !== sent.cseq())) {
      respond(481);
      return;
    }
    respond(200);
    const terminated = /^terminated\b/i.test(headers.first('subscription-state') ?? '');
    sent.driver.run((now) => sent.machine.handleNotify(now, readFragment(body), terminated));
  }

  /** The call is over, or will be as soon as our BYE is answered. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#received?.stop();
    this.#sent?.driver.run((now) => this.#sent?.machine.handleCallEnded(now));
  }

  /** The engine stops: nobody is told anything. */
  abandon(): void {
    this.#stopped = true;
    this.#received?.stop();
    this.#sent?.driver.stop();
  }

  #ask(ask: ((refer: IncomingRefer) => boolean) | undefined, refer: ReceivedRefer): boolean {
    try {
      return ask?.(refer) ?? false;
    } catch (error) {
      this.#services.log.error({ err: error }, 'the handler of a transfer failed');
      return false;
    }
  }
}
