"""Makes word-times.json: where words begin, as espeak-ng itself tells them (its command does not). Needs libespeak-ng and node.

    python3 bench/corpus/word-times.py > bench/corpus/word-times.json

Short words are told together with the next ("on the"): they count as one.
"""
import ctypes
import json
import os
import subprocess

WORD = 1
SYNCHRONOUS = 2
RATE, PITCH = 1, 3


class Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class Event(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("unique", ctypes.c_uint), ("at", ctypes.c_int), ("length", ctypes.c_int),
                ("ms", ctypes.c_int), ("sample", ctypes.c_int), ("user", ctypes.c_void_p), ("id", Id)]


class Voice(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("languages", ctypes.c_char_p), ("identifier", ctypes.c_char_p), ("gender", ctypes.c_ubyte),
                ("age", ctypes.c_ubyte), ("variant", ctypes.c_ubyte), ("x", ctypes.c_ubyte), ("score", ctypes.c_int), ("spare", ctypes.c_void_p)]


lib = ctypes.CDLL("libespeak-ng.so.1")
hz = lib.espeak_Initialize(SYNCHRONOUS, 0, None, 0)
heard = []


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))
def note(_wav, _samples, events):
    n = 0
    while events[n].type != 0:
        if events[n].type == WORD:
            heard.append((events[n].at, events[n].length, events[n].sample))
        n += 1
    return 0


def times(text, voice, rate, pitch):
    heard.clear()
    if lib.espeak_SetVoiceByName(voice.encode()) != 0:
        lib.espeak_SetVoiceByProperties(ctypes.byref(Voice(None, voice.encode(), None, 0, 0, 0, 0, 0, None)))
    lib.espeak_SetParameter(RATE, rate, 0)
    lib.espeak_SetParameter(PITCH, pitch, 0)
    data = text.encode()
    lib.espeak_Synth(data, len(data) + 1, 0, 1, 0, 1, None, None)
    lib.espeak_Synchronize()
    return [round(sample * 1000 / hz) for at, length, sample in heard if text[at - 1 : at - 1 + length] != ""]


lib.espeak_SetSynthCallback(note)
scripts = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scripts.mjs")
ask = "import(process.argv[1]).then(({ANSWERS, VOICES}) => console.log(JSON.stringify([ANSWERS, VOICES])))"
answers, voices = json.loads(subprocess.check_output(["node", "-e", ask, scripts]))
about = "Where words begin in the sentences of scripts.mjs (ANSWERS, by number), ms, one list a voice (VOICES); by word-times.py"
parts = [f'  "about": "{about}"']
for n, text in enumerate(answers):
    lists = ",\n".join("    " + json.dumps(times(text, *voice)) for voice in voices)
    parts.append(f'  "{n}": [\n{lists}\n  ]')
print("{\n" + ",\n".join(parts) + "\n}")
