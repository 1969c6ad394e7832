import { type Lexicon, phrases, words } from './lexicon.ts';

export const SPANISH: Lexicon = {
  hesitations: words('eh em ehm este pues bueno mmm hmm'),
  // Without verbs, and without pronouns that are objects as well.
  openTails: words(
    'y e o u pero porque que aunque mientras como con sin para por de del a al en desde hasta entre sobre hacia el los las un una unos unas ' +
      'mi mis tu tus su sus nuestro nuestra nuestros nuestras quisiera muy',
  ),
  dictated: words('punto guion barra arroba almohadilla asterisco doble triple'),
  digits: words('cero uno dos tres cuatro cinco seis siete ocho nueve'),
  pairs: words(
    'diez once doce trece catorce quince dieciséis diecisiete dieciocho diecinueve veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa',
  ),
  holds: phrases('un momento, un segundo, un momentito, déjeme, déjame, a ver, espere, permítame, vamos a ver'),
  preambles: phrases('buena pregunta, cómo decirlo, cómo le digo, lo que pasa es, la cosa es, es que'),
  closings: phrases('por favor, gracias, muchas gracias, adiós, hasta luego, eso es todo, nada más'),
  questions: phrases(
    'quién,qué,cuál,cuáles,cuándo,cuánto,cuánta,cuántos,cuántas,dónde,por qué,cómo,puede,puedo,podría,hay,es,son,está,tiene,tienen',
  ),
  acknowledgements: words(
    'sí si claro vale ok okay ajá aja ya veo entiendo entendido de acuerdo bien muy bueno perfecto mm mhm exacto ah oh',
  ),
  interrupting: words(
    'para pare espera espere alto no perdón disculpe momento repita repetir humano persona agente operador operadora ayuda cancelar',
  ),
  asks: {
    or: phrases('o,u'),
    yesNo: phrases('es,está,están,son,fue,ha,han,hay,puede,podría,quiere,quisiera,desea,tiene,le,les,necesita,va,sería'),
    before: words('y entonces bueno vale ok okay'),
    tags: phrases('correcto,verdad,cierto,no,de acuerdo,está bien,es así'),
    number: words('número dígitos código pin fecha'),
    give: words('cuál qué su tu dígame dime deme indique introduzca diga'),
    card: words('tarjeta'),
    phone: words('teléfono móvil celular'),
    phoneDigits: undefined,
    date: words('fecha'),
  },
};
