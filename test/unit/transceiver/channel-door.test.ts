import { describe, expect, test } from 'vitest';
import type { EventChannel } from '../../../src/leg/session-host.ts';
import { ChannelDoor } from '../../../src/transceiver/channel-door.ts';
import type { PeerChannel } from '../../../src/webrtc/sctp/data-channels.ts';

function channel(label: string, id = 1): PeerChannel {
  return { id, label, protocol: '', ordered: true, state: 'open' };
}

/** A door between a peer and a session that only note. */
function bench({ maxEventBytes = 1000, takes = true } = {}) {
  const sent: string[] = [];
  const closed: number[] = [];
  const heard: string[] = [];
  const given: EventChannel[] = [];
  const state = { left: 0, writable: true };
  const door: ChannelDoor = new ChannelDoor(
    {
      sendMessage: (_channel, message) => state.writable && sent.push(message) > 0,
      closeChannel: (each) => {
        closed.push(each.id);
        door.closed(each);
      },
    },
    {
      open: (each) => {
        if (!takes) return undefined;
        given.push(each);
        each.send('hello');
        return { receive: (event) => void heard.push(event), close: () => void state.left++ };
      },
    },
    { maxEventBytes },
  );
  return { door, sent, closed, heard, given, state };
}

describe('the data channel of a browser', () => {
  test('carries events both ways, text or bytes', () => {
    const { door, sent, heard, given } = bench();
    const events = channel('oai-events');
    door.opened(events);
    door.receive(events, '{"type":"a"}');
    door.receive(events, Buffer.from('{"type":"b"}'));
    door.receive(events, Buffer.of(0xff, 0xfe, 0));
    expect(heard).toEqual(['{"type":"a"}', '{"type":"b"}', '\ufffd\ufffd\u0000']);
    given[0]?.send('answer');
    expect(sent).toEqual(['hello', 'answer']);
  });

  test('is the one with the name of the reference, and no second one beside it', () => {
    const { door, closed, given, state } = bench();
    door.opened(channel('chat', 1));
    const events = channel('oai-events', 3);
    door.opened(events);
    door.opened(channel('oai-events', 5));
    expect(closed).toEqual([1, 5]);
    expect(given).toHaveLength(1);
    expect(state.left).toBe(0);
    door.closed(events);
    expect(state.left).toBe(1);
    expect(given[0]?.send('late')).toBe(false);
    door.opened(channel('oai-events', 7));
    expect(given).toHaveLength(2);
  });

  test('is closed when its session takes no more, and when it closes it', () => {
    const full = bench({ takes: false });
    full.door.opened(channel('oai-events', 9));
    expect(full.closed).toEqual([9]);
    const { door, given, closed, state } = bench();
    door.opened(channel('oai-events', 9));
    given[0]?.close(1008, 'too slow');
    expect([closed, state.left]).toEqual([[9], 1]);
  });

  test('is told of an event that it cannot take, and keeps the others', () => {
    const { door, sent, given, state } = bench({ maxEventBytes: 400 });
    door.opened(channel('oai-events'));
    expect(given[0]?.send('x'.repeat(400))).toBe(true);
    expect(given[0]?.send('ü'.repeat(250))).toBe(true);
    expect(sent[1]).toHaveLength(400);
    expect(JSON.parse(sent[2] ?? '')).toMatchObject({ type: 'error', error: { code: 'event_too_large' } });
    state.writable = false;
    expect(given[0]?.send('x')).toBe(false);
    const any = bench({ maxEventBytes: 0 });
    any.door.opened(channel('oai-events'));
    expect(any.given[0]?.send('x'.repeat(500_000))).toBe(true);
    expect(any.sent[1]).toHaveLength(500_000);
  });
});
