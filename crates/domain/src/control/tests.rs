//! Changes against what must hold of every state they lead to.
