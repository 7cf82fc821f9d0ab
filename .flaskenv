FLASK_APP=rebootcamp.wsgi
