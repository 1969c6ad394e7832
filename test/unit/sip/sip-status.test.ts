import { describe, expect, it } from 'vitest';
import type { EndCause, RejectCause } from '../../../src/leg/leg.ts';
import { type HangupCause, hangupReason, type RejectionCause, reasonPhrase, rejectionStatus } from '../../../src/sip/sip-status.ts';

describe('the status table', () => {
  it('has the words of the leg interface, both ways', () => {
    const reject: RejectionCause = 'busy' satisfies RejectCause as RejectCause;
    const rejectBack: RejectCause = 'busy' satisfies RejectionCause as RejectionCause;
    const end: HangupCause = 'shutdown' satisfies EndCause as EndCause;
    const endBack: EndCause = 'shutdown' satisfies HangupCause as HangupCause;
    expect([reject, rejectBack, end, endBack]).toEqual(['busy', 'busy', 'shutdown', 'shutdown']);
  });

  it('refuses each cause by its status', () => {
    const causes: RejectionCause[] = [
      ...(['busy', 'declined', 'not_found', 'overloaded', 'no_common_codec', 'media_failed', 'unavailable', 'internal_error'] as const),
    ];
    expect(causes.map(rejectionStatus)).toEqual([486, 603, 404, 503, 488, 503, 480, 500]);
  });

  it('names a Q.850 cause and a phrase', () => {
    expect(hangupReason('agent_hangup')).toEqual({ q850: 16, text: 'Normal call clearing' });
    expect(hangupReason('media_timeout').q850).toBe(102);
    expect([reasonPhrase(486), reasonPhrase(499), reasonPhrase(799)]).toEqual(['Busy Here', 'Bad Request', 'Unknown']);
  });
});
