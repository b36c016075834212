//! A small CRM that lies on demand: the other side of the quickstart.
