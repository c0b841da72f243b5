-- What an endpoint has to answer before it is sent anything else, as JSON. NULL: nothing.
ALTER TABLE endpoints ADD COLUMN handshake TEXT;
