import org.zeromq.ZMQ;

/** A client or a worker of the ZeroMQ guide, over JeroMQ, which greets as ZMTP 2.0. */
class Peer {
    public static void main(String[] args) {
        ZMQ.Context context = ZMQ.context(1);
        if (args[0].equals("worker")) {
            work(context, args[1]);
        }
        ask(context, args[1], Integer.parseInt(args[2]));
        context.term();
    }

    /** ask is a REQ socket: it prints each reply. */
    static void ask(ZMQ.Context context, String broker, int requests) {
        ZMQ.Socket socket = context.socket(ZMQ.REQ);
        socket.connect(broker);
        for (int n = 0; n < requests; n++) {
            socket.send("request " + n);
            System.out.println(socket.recvStr());
        }
        socket.close();
    }

    /** work is a worker of the Paranoid Pirate Protocol that sends each body back. */
    static void work(ZMQ.Context context, String broker) {
        ZMQ.Socket socket = context.socket(ZMQ.DEALER);
        socket.connect(broker);
        socket.send(new byte[] {1}); // READY
        socket.setReceiveTimeOut(200);
        while (true) {
            byte[] first = socket.recv();
            if (first == null || !socket.hasReceiveMore()) { // nothing, or a heartbeat
                socket.send(new byte[] {2});
                continue;
            }
            socket.sendMore(first);
            while (socket.hasReceiveMore()) {
                byte[] frame = socket.recv();
                if (socket.hasReceiveMore()) {
                    socket.sendMore(frame);
                } else {
                    socket.send(frame);
                }
            }
        }
    }
}
