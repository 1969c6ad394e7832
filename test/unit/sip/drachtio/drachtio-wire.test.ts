import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { DrachtioWire } from '../../../../src/sip/drachtio/drachtio-wire.ts';
import type { SrfMessage, SrfRequest, SrfResponse } from '../../../../src/sip/drachtio/srf.ts';
import type { Flow } from '../../../../src/sip/embedded/flow.ts';
import type { SipRequest } from '../../../../src/sip/embedded/message.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

/** A message as the library has it: it lets only known statuses through. */
class FakeResponse implements SrfResponse {
  status = 0;
  readonly msg: SrfMessage & { status?: number } = {};
  readonly sent: { readonly status: number; readonly reason: string; readonly headers: Record<string, string> }[] = [];
  /** What the server says of it. */
  error: unknown = null;

  send(...[status, reason, { headers }, done]: Parameters<SrfResponse['send']>): void {
    if (![180, 200, 400, 486, 600].includes(status)) throw new Error('status is required and must be a valid sip response code');
    this.msg.status = status;
    this.sent.push({ status: this.msg.status, reason, headers });
    done(this.error, {});
  }
}

function bench() {
  const socket = new EventEmitter() as Socket;
  const requests: { readonly message: SipRequest; readonly flow: Flow }[] = [];
  const wire = new DrachtioWire({
    clock: new FakeClock(),
    dialling: () => socket,
    request: () => undefined,
    release: () => undefined,
    onRequest: (message, _source, flow) => requests.push({ message, flow }),
    onResponse: () => undefined,
  });
  const request = (method: string, toTag = ''): SrfRequest & EventEmitter => {
    const raw = [
      `${method} sip:agent@192.0.2.1 SIP/2.0`,
      `Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK${method}`,
      'From: <sip:caller@192.0.2.9>;tag=theirs',
      `To: <sip:agent@192.0.2.1>${toTag}`,
      'Call-ID: x',
      `CSeq: 1 ${method}`,
      'Contact: <sip:caller@192.0.2.9>',
      '',
      '',
    ].join('\r\n');
    const facts = { method, msg: { raw }, source: 'network', source_address: '192.0.2.9', source_port: 5060, protocol: 'udp', socket };
    return Object.assign(new EventEmitter(), facts, { stackTxnId: method, get: () => undefined, cancel: () => undefined }) as never;
  };
  const answer = (method: string, status: number, reason: string): void => {
    const lines = [
      `SIP/2.0 ${status} ${reason}`,
      `Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK${method}`,
      'From: <sip:caller@192.0.2.9>;tag=theirs',
      'To: <sip:agent@192.0.2.1>;tag=ours',
      'Call-ID: x',
      `CSeq: 1 ${method}`,
      'Recv-Info: ',
    ];
    requests.at(-1)?.flow.send(Buffer.from([...lines, '', ''].join('\r\n')));
  };
  return { wire, requests, request, answer };
}

describe('between our user agent and a drachtio server', () => {
  test('a status that the library does not know leaves as it is', () => {
    const { wire, request, answer } = bench();
    for (const [method, status, reason] of [
      ['INFO', 469, 'Bad Info Package'],
      ['INVITE', 607, 'Unwanted'],
      ['INVITE', 486, 'Busy Here'],
    ] as const) {
      const response = new FakeResponse();
      wire.handleRequest(request(method), response);
      answer(method, status, reason);
      expect(response.sent).toMatchObject([{ status, reason }]);
    }
  });

  test('an UPDATE while an INVITE waits for its answer is ours to answer', () => {
    const { wire, requests, request } = bench();
    const invite = request('INVITE');
    wire.handleRequest(invite, new FakeResponse());
    invite.emit('update', request('UPDATE', ';tag=ours'), new FakeResponse());
    expect(requests.map(({ message }) => message.method)).toEqual(['INVITE', 'UPDATE']);
  });

  test('an answer that comes too late for the server ends the call, and not the call that goes on', () => {
    for (const [toTag, methods] of [
      ['', ['INVITE', 'BYE']],
      [';tag=ours', ['INVITE']],
    ] as const) {
      const { wire, requests, request, answer } = bench();
      const response = new FakeResponse();
      response.error = 'NOK';
      wire.handleRequest(request('INVITE', toTag), response);
      answer('INVITE', 200, 'OK');
      expect(requests.map(({ message }) => message.method)).toEqual(methods);
      const { headers } = requests.at(-1)!.message;
      if (methods.length > 1)
        expect([headers.first('to'), headers.first('cseq')]).toEqual(['<sip:agent@192.0.2.1>;tag=ours', '2147483647 BYE']);
    }
  });
});
