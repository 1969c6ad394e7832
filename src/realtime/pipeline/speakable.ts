/** What a voice is given of written text: marks of Markdown are not read aloud. */
export function speakable(text: string): string {
  return text
    .replace(/!?\[([^\]\n]{0,300})\]\([^)\s]{0,2000}\)/g, '$1')
    .replace(/(\*\*|__|~~|`{1,3})/g, '')
    .replace(/^\s{0,3}(?:#{1,6}|[-*+•>])\s+/gm, '')
    .replace(/(^|[\s(])\*(\S[^*\n]*?)\*(?=[\s).,!?:;]|$)/g, '$1$2')
    .replace(/\p{Extended_Pictographic}|\p{Emoji_Modifier}|\u200d|\ufe0f/gu, (mark) => (/[©®™]/.test(mark) ? mark : ''))
    .replace(/\s+/g, ' ')
    .trim();
}
