import { describe, expect, it } from 'vitest';
import { DataChannels, type PeerChannel } from '../../../../src/webrtc/sctp/data-channels.ts';
import { parseDcep, writeAck, writeOpen } from '../../../../src/webrtc/sctp/dcep.ts';
import type { SctpAssociation } from '../../../../src/webrtc/sctp/sctp-association.ts';

type Sent = [streamId: number, payloadId: number, data: string, ordered: boolean];

function arrange({ dtlsRole = 'client' as 'client' | 'server', maxSendBytes = 65_536, bufferedBytes = 0 } = {}) {
  const sent: Sent[] = [];
  const resets: number[] = [];
  const log: string[] = [];
  const open: PeerChannel[] = [];
  const association: SctpAssociation = {
    connected: true,
    bufferedBytes,
    droppedPackets: 0,
    connect: () => undefined,
    establish: () => undefined,
    handlePacket: () => undefined,
    send: (streamId, payloadId, data, ordered) => sent.push([streamId, payloadId, data.toString('latin1'), ordered]),
    resetStream: (streamId) => resets.push(streamId),
    close: () => undefined,
  };
  const channels = new DataChannels(
    { dtlsRole, maxSendBytes },
    {
      onOpen(channel) {
        open.push(channel);
        log.push(`open ${channel.label}`);
      },
      onMessage: (channel, message) =>
        log.push(`${channel.label}: ${typeof message === 'string' ? `'${message}'` : `<${message.length}>`}`),
      onClosed: (channel) => log.push(`closed ${channel.label}`),
    },
  );
  channels.attach(association);
  return { channels, sent, resets, log, open };
}

const request = (label: string, ordered = true) => writeOpen({ label, protocol: '', ordered });

describe('DCEP', () => {
  it('reads what it writes', () => {
    expect(parseDcep(writeOpen({ label: 'oai-events', protocol: 'json', ordered: false }))).toEqual({
      type: 'open',
      label: 'oai-events',
      protocol: 'json',
      ordered: false,
    });
    expect(parseDcep(writeAck())).toEqual({ type: 'ack' });
  });

  it('refuses short, lying and overlong messages', () => {
    const good = request('oai-events');
    for (let length = 0; length < good.length; length += 1) expect(parseDcep(good.subarray(0, length))).toBeUndefined();
    expect(parseDcep(request('x'.repeat(257)))).toBeUndefined();
    expect(parseDcep(Buffer.from([9]))).toBeUndefined();
  });
});

describe('DataChannels', () => {
  it('accepts a channel, acknowledges it, and tells text from bytes, empty ones too', () => {
    const { channels, sent, log, open } = arrange();
    channels.handleConnected();
    channels.handleMessage(0, 50, request('oai-events'));
    expect(sent).toEqual([[0, 50, '\x02', true]]);
    channels.handleMessage(0, 51, Buffer.from('{"a":"ä"}'));
    channels.handleMessage(0, 53, Buffer.from([1, 2, 3]));
    channels.handleMessage(0, 56, Buffer.alloc(1));
    channels.handleMessage(0, 57, Buffer.alloc(1));
    expect(log).toEqual(['open oai-events', `oai-events: '{"a":"ä"}'`, 'oai-events: <3>', `oai-events: ''`, 'oai-events: <0>']);
    const [channel] = open;
    if (!channel) throw new Error('no channel');
    expect(channels.send(channel, 'text')).toBe(true);
    expect(channels.send(channel, new Uint8Array([65]))).toBe(true);
    expect(channels.send(channel, '')).toBe(true);
    expect(channels.send(channel, new Uint8Array())).toBe(true);
    expect(sent.slice(1)).toEqual([
      [0, 51, 'text', true],
      [0, 53, 'A', true],
      [0, 56, '\0', true],
      [0, 57, '\0', true],
    ]);
  });

  it.each([
    ['client', [0, 2]],
    ['server', [1, 3]],
  ] as const)('opens channels with the ids of a DTLS %s once the association is up', (dtlsRole, ids) => {
    const { channels, sent, log } = arrange({ dtlsRole });
    const first = channels.open('one');
    const second = channels.open('two', { ordered: false });
    expect([first?.id, second?.id]).toEqual(ids);
    expect(sent).toEqual([]);
    if (first) expect(channels.send(first, 'too early')).toBe(false);
    channels.handleConnected();
    expect(sent.map(([streamId, payloadId]) => [streamId, payloadId])).toEqual(ids.map((id) => [id, 50]));
    channels.handleMessage(ids[0], 50, writeAck());
    channels.handleMessage(ids[1], 51, Buffer.from('before the acknowledgement'));
    expect(log).toEqual(['open one', 'open two', `two: 'before the acknowledgement'`]);
  });

  it('refuses the ninth channel', () => {
    const { channels, resets, log } = arrange();
    for (let id = 1; id < 19; id += 2) channels.handleMessage(id, 50, request(`c${id}`));
    expect(log).toHaveLength(8);
    expect(resets).toEqual([17]);
    expect(channels.open('mine')).toBeUndefined();
    expect(channels.droppedMessages).toBe(1);
  });

  it('drops what fits no channel, no format and no limit', () => {
    const { channels, log } = arrange();
    channels.handleMessage(0, 51, Buffer.from('nobody'));
    channels.handleMessage(0, 50, request('a'));
    channels.handleMessage(0, 99, Buffer.from('?'));
    channels.handleMessage(0, 53, Buffer.alloc(256 * 1024 + 1));
    channels.handleMessage(2, 50, writeAck());
    channels.handleMessage(2, 50, Buffer.from([3]));
    expect(log).toEqual(['open a']);
    expect(channels.droppedMessages).toBe(5);
  });

  it('refuses to send more than the far side takes, or more than may wait', () => {
    const small = arrange({ maxSendBytes: 10 });
    small.channels.handleMessage(0, 50, request('a'));
    const [channel] = small.open;
    if (!channel) throw new Error('no channel');
    expect(small.channels.send(channel, '0123456789')).toBe(true);
    expect(small.channels.send(channel, '0123456789a')).toBe(false);
    expect(small.channels.send(channel, 'äääääx')).toBe(false);
    const full = arrange({ bufferedBytes: 1024 * 1024 });
    full.channels.handleMessage(0, 50, request('a'));
    const [other] = full.open;
    if (other) expect(full.channels.send(other, 'x')).toBe(false);
    if (other) expect(small.channels.send(other, 'x')).toBe(false);
  });

  it('closes each channel once: by us, by the far side, or with the association', () => {
    const { channels, resets, log, open } = arrange();
    for (const [i, label] of ['a', 'b', 'c'].entries()) channels.handleMessage(2 * i, 50, request(label));
    const [a] = open;
    if (a) channels.close(a);
    channels.handleReset([0, 2, 77]);
    channels.handleClosed();
    channels.handleClosed();
    expect(resets).toEqual([0]);
    expect(log.slice(3)).toEqual(['closed a', 'closed b', 'closed c']);
    expect(open.map(({ state }) => state)).toEqual(['closed', 'closed', 'closed']);
  });
});
